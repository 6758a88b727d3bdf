import { isIPv6 } from "node:net";
import type { TokenError } from "../oci/problem.ts";

export interface ChallengeSettings {
  readonly service: string;
  /** `http.publicUrl`; without it the request's own host counts. */
  readonly publicUrl: string | undefined;
}

/** What a request was sent to. */
export interface RequestOrigin {
  readonly scheme: "http" | "https";
  /** As the `Host` header has it. */
  readonly host: string | undefined;
}

export interface Challenge {
  /** All that the request needs; none on `/v2/`. */
  readonly scopes: readonly string[];
  /** Present only when a token was sent: some clients stop asking only then. */
  readonly error?: TokenError;
}

/** Makes the `WWW-Authenticate` header of a 401; `undefined` when the request named no host that can be answered. */
export type Challenger = (origin: RequestOrigin, challenge: Challenge) => string | undefined;

export const challenger =
  ({ service, publicUrl }: ChallengeSettings): Challenger =>
  (origin, { scopes, error }) => {
    const base = ownOrigin(publicUrl, origin);
    if (base === undefined) return undefined;
    const parameters = [
      `realm=${quoted(`${base}/token`)}`,
      `service=${quoted(service)}`,
      ...(scopes.length === 0 ? [] : [`scope=${quoted(scopes.join(" "))}`]),
      ...(error === undefined ? [] : [`error=${quoted(error)}`]),
    ];
    return `Bearer ${parameters.join(",")}`;
  };

/** For the token service itself, which is asked with a name and a password. */
export const basicChallenge = (realm: string): string => `Basic realm=${quoted(realm)},charset="UTF-8"`;

/** Whatever a quoted string cannot hold as it is (RFC 6750, 3) is left out; no value of ours has any. */
const quoted = (text: string): string => `"${text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "")}"`;

/** Where this server is for others; `undefined` where nobody has said it, and the request named no host that can be answered. */
export const ownOrigin = (publicUrl: string | undefined, asked: RequestOrigin): string | undefined =>
  publicUrl === undefined ? originOf(asked) : new URL(publicUrl).origin;

function originOf({ scheme, host }: RequestOrigin): string | undefined {
  const valid = parseHost(host ?? "");
  return valid === undefined ? undefined : `${scheme}://${valid}`;
}

const longestHostCharacters = 255 + ":65535".length;
const hostAndPort =
  /^(?<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?|\[(?<address>[0-9a-f:.]+)\])(?::(?<port>\d{1,5}))?$/;

/** A name or address with or without a port, in lower case; nothing else that a `Host` header might smuggle in. */
export function parseHost(text: string): string | undefined {
  if (text.length > longestHostCharacters) return undefined;
  const host = text.toLowerCase();
  const { groups } = hostAndPort.exec(host) ?? {};
  if (groups === undefined || host.includes("..")) return undefined;
  if (groups["address"] !== undefined && !isIPv6(groups["address"])) return undefined;
  if (groups["port"] !== undefined && (Number(groups["port"]) > 65_535 || Number(groups["port"]) === 0))
    return undefined;
  return host;
}
