import { fail } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { parseHost } from "../challenge.ts";
import { type Cookie, cookieText, endedCookieText, readCookie } from "../cookies.ts";

const session: Cookie = { secureName: "__Host-berth", plainName: "berth_session", sameSite: "Strict" };

export const readSessionCookie = (request: Incoming): string | undefined => readCookie(request, session);

export const sessionCookie = (scheme: Incoming["scheme"], secret: string, longestMs: number): string =>
  cookieText(session, scheme, { value: secret, maxAgeSeconds: Math.floor(longestMs / 1000) });

export const endedCookie = (scheme: Incoming["scheme"]): string => endedCookieText(session, scheme);

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
