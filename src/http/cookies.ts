import type { Incoming } from "../platform/runtime/http.ts";

export interface Cookie {
  /** Under https the browser keeps others from setting it: it comes from this host alone, and for all of it. */
  readonly secureName: `__Host-${string}`;
  readonly plainName: string;
  /** Whether the browser sends it along when a page of somebody else's leads here. */
  readonly sameSite: "Strict" | "Lax";
}

const nameOf = ({ secureName, plainName }: Cookie, scheme: Incoming["scheme"]): string =>
  scheme === "https" ? secureName : plainName;

/** `undefined` where there is none, or more than one of them. */
export function readCookie({ headers, scheme }: Incoming, cookie: Cookie): string | undefined {
  const start = `${nameOf(cookie, scheme)}=`;
  const pairs = (headers.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  const [value, another] = pairs.filter((pair) => pair.startsWith(start)).map((pair) => pair.slice(start.length));
  return another === undefined && value !== "" ? value : undefined;
}

interface Kept {
  readonly value: string;
  readonly maxAgeSeconds: number;
}

/** What a browser is told to keep, out of reach of scripts. */
export const cookieText = (cookie: Cookie, scheme: Incoming["scheme"], { value, maxAgeSeconds }: Kept): string =>
  `${nameOf(cookie, scheme)}=${value}; Path=/; HttpOnly; SameSite=${cookie.sameSite}` +
  `${scheme === "https" ? "; Secure" : ""}; Max-Age=${maxAgeSeconds}`;

export const endedCookieText = (cookie: Cookie, scheme: Incoming["scheme"]): string =>
  cookieText(cookie, scheme, { value: "", maxAgeSeconds: 0 });
