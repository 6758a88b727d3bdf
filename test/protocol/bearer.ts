import { expect } from "bun:test";
import { type Answer, basic, type ServedRegistry } from "./registry-client.ts";

export interface TokenReply {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly scope?: string;
  readonly refresh_token?: string;
}

export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export interface TokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly nbf: number;
  readonly iat: number;
  readonly jti: string;
  readonly access: readonly Access[];
}

export const tokenReply = (answer: Answer): TokenReply => answer.json() as TokenReply;

const decoded = (part: string | undefined): unknown => JSON.parse(Buffer.from(part ?? "", "base64url").toString());

export const headerOf = (token: string): { readonly alg: string; readonly kid?: string; readonly typ?: string } =>
  decoded(token.split(".")[0]) as { alg: string };

export const claimsOf = (token: string): TokenClaims => decoded(token.split(".")[1]) as TokenClaims;

/** GET /token as the administrator, or as anyone else. */
export function getToken(
  registry: ServedRegistry,
  query: string,
  authorization = adminBasic(registry),
): Promise<Answer> {
  return registry.as(authorization === "" ? undefined : authorization).send("GET", `/token?service=berth&${query}`);
}

export const adminBasic = (registry: ServedRegistry): string => {
  const { username, password } = registry.server().admin;
  return basic(username, password);
};

/** An Authorization header that carries a token for the scope. */
export async function bearerFor(registry: ServedRegistry, scope: string, authorization?: string): Promise<string> {
  const answer = await getToken(registry, `scope=${encodeURIComponent(scope)}`, authorization);
  expect(answer.status).toBe(200);
  return `Bearer ${tokenReply(answer).access_token}`;
}

export interface Challenge {
  readonly realm?: string;
  readonly service?: string;
  readonly scope?: string;
  readonly error?: string;
}

/** The parameters of a Bearer challenge; fails where one of them is not quoted. */
export function challengeOf(answer: Answer): Challenge {
  expect(answer.status).toBe(401);
  const text = answer.header("www-authenticate") ?? "";
  expect(text).toMatch(/^Bearer [a-z_]+="[^"\\]*"(, ?[a-z_]+="[^"\\]*")*$/);
  return Object.fromEntries([...text.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
}

/** The challenge's scopes with their actions in one order: push,pull and pull,push are the same. */
export const scopesIn = (challenge: Challenge): readonly string[] =>
  (challenge.scope ?? "")
    .split(" ")
    .filter((scope) => scope !== "")
    .map((scope) => {
      const colon = scope.lastIndexOf(":");
      return `${scope.slice(0, colon)}:${scope
        .slice(colon + 1)
        .split(",")
        .toSorted()
        .join(",")}`;
    })
    .toSorted();
