import type { Permission } from "./permissions.ts";
import type { Grant } from "./scope.ts";

/** Who it is. The id of an account or a robot is never given out twice, its name may be. */
export type Principal =
  | { readonly kind: "anonymous" }
  | { readonly kind: "account"; readonly id: string; readonly name: string }
  | { readonly kind: "robot"; readonly id: string; readonly name: string; readonly organizationId?: string };

/** Who is asked about: somebody who asks, or somebody who is in a team and has nothing else, who never does. */
export type Asker = Principal | { readonly kind: "team"; readonly id: string; readonly name: string };

/** What a personal token or a robot's secret is limited to: permissions in what a pattern names. */
export interface TokenScope {
  readonly pattern: string;
  readonly permissions: readonly Permission[];
}

/** Who asks, and what the token they showed was issued for; without a token the principal's rights alone count. */
export interface Caller {
  readonly principal: Principal;
  /** Of a token of the registry protocol. */
  readonly scope?: readonly Grant[];
  /** Of a personal token or a robot's secret. */
  readonly tokenScope?: readonly TokenScope[];
  readonly tokenId?: string;
  /** The rule by which another issuer's token is the robot's. */
  readonly ruleId?: string;
  /** A right that holds in some networks alone does not hold where nobody knows the address. */
  readonly remoteAddress?: string;
  /** Until when the same credentials need no other look, while the database is the same (ms since 1970). */
  readonly goodUntil?: number;
}

export const anonymous: Caller = { principal: { kind: "anonymous" } };

/** For the log; `undefined` for anonymous. */
export const principalName = (principal: Principal): string | undefined =>
  principal.kind === "anonymous" ? undefined : principal.name;
