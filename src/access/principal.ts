import type { Grant } from "./scope.ts";

/** Who it is. The id of an account is never given out twice, its name may be. */
export type Principal =
  | { readonly kind: "anonymous" }
  | { readonly kind: "account"; readonly id: string; readonly name: string; readonly administrator: boolean };

/** Who asks, and what the token they showed was issued for; without a token the principal's rights alone count. */
export interface Caller {
  readonly principal: Principal;
  readonly scope?: readonly Grant[];
  /** Until when the same credentials need no other look, while the database is the same (ms since 1970). */
  readonly goodUntil?: number;
}

export const anonymous: Caller = { principal: { kind: "anonymous" } };

/** For the log; `undefined` for anonymous. */
export const principalName = (principal: Principal): string | undefined =>
  principal.kind === "account" ? principal.name : undefined;
