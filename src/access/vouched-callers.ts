import type { Reading } from "../platform/database/prepared.ts";
import { canonicalName, parseAccountName } from "./account-name.ts";
import { findAccountByName, principalOf } from "./accounts.ts";
import type { Authorize } from "./authorize.ts";
import type { Asking } from "./envelope.ts";
import type { Caller, Principal } from "./principal.ts";
import { findRobotByName } from "./robots/find-robot.ts";

/** Whom somebody else vouches for, by name. */
export interface VouchedName {
  readonly kind: "account" | "robot";
  readonly name: string;
}

/** `undefined` where they may not come in. */
export type CallerNamed = (named: VouchedName, asking: Asking) => Promise<Caller | undefined>;

interface VouchedDeps {
  readonly database: Reading;
  readonly authorize: Authorize;
  readonly now: () => number;
}

/**
 * Who has shown no credentials of their own, and is vouched for. They have the rights that they have, and no account is made
 * for them. Administrators are never let in so: whoever gets at what vouches would have the whole registry.
 */
export const vouchedCallers =
  ({ database, authorize, now }: VouchedDeps): CallerNamed =>
  async ({ kind, name }, { remoteAddress }) => {
    const principal = await (kind === "account" ? accountNamed(database, name) : robotNamed(database, name, now()));
    if (principal === undefined) return undefined;
    const caller: Caller = { principal, remoteAddress };
    const administers = await authorize(caller, "admin", { kind: "instance", subject: "account" });
    return administers.allowed ? undefined : caller;
  };

async function accountNamed(database: Reading, text: string): Promise<Principal | undefined> {
  const name = parseAccountName(canonicalName(text));
  const account = name && (await findAccountByName(database, name));
  return account === undefined || account.disabled ? undefined : principalOf(account);
}

async function robotNamed(database: Reading, text: string, now: number): Promise<Principal | undefined> {
  const robot = await findRobotByName(database, text);
  if (robot === undefined || robot.disabled || (robot.expiresAt ?? Infinity) <= now) return undefined;
  const { id, name, organizationId } = robot;
  return { kind: "robot", id, name, ...(organizationId !== undefined && { organizationId }) };
}
