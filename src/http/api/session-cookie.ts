import { fail } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { parseHost } from "../challenge.ts";

/** Under https the browser keeps others from setting it: it comes from this host alone, and for all of it. */
const nameOf = (scheme: Incoming["scheme"]): string => (scheme === "https" ? "__Host-berth" : "berth_session");

/** `undefined` where there is none, or more than one of them. */
export function readSessionCookie({ headers, scheme }: Incoming): string | undefined {
  const start = `${nameOf(scheme)}=`;
  const pairs = (headers.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  const [value, another] = pairs.filter((pair) => pair.startsWith(start)).map((pair) => pair.slice(start.length));
  return another === undefined && value !== "" ? value : undefined;
}

export const sessionCookie = (scheme: Incoming["scheme"], secret: string, longestMs: number): string =>
  `${nameOf(scheme)}=${secret}; ${attributes(scheme)}; Max-Age=${Math.floor(longestMs / 1000)}`;

export const endedCookie = (scheme: Incoming["scheme"]): string =>
  `${nameOf(scheme)}=; ${attributes(scheme)}; Max-Age=0`;

const attributes = (scheme: Incoming["scheme"]): string =>
  `Path=/; HttpOnly; SameSite=Strict${scheme === "https" ? "; Secure" : ""}`;

/** What a page has made a browser ask; a program says neither. */
export const isFromPage = ({ headers }: Incoming): boolean => headers.has("origin") || headers.has("sec-fetch-site");

/**
 * A browser sends a cookie whoever has made it ask. Before one may change anything, the browser has to say that a page of
 * this server did: by `Sec-Fetch-Site`, or, where it is too old for that, by `Origin`.
 * @throws RegistryError FOREIGN_ORIGIN
 */
export function requireOwnPage(request: Incoming, publicUrl: string | undefined): void {
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  const isOwn = origin === undefined || ownOrigins(request, publicUrl).includes(origin.toLowerCase());
  const isSaid = site === "same-origin" || (site === undefined && origin !== undefined);
  if (!isOwn || !isSaid) fail({ code: "FOREIGN_ORIGIN" });
}

function ownOrigins({ headers, scheme }: Incoming, publicUrl: string | undefined): readonly string[] {
  const host = parseHost(headers.get("host") ?? "");
  return [
    ...(host === undefined ? [] : [new URL(`${scheme}://${host}`).origin]),
    ...(publicUrl === undefined ? [] : [new URL(publicUrl).origin]),
  ];
}
