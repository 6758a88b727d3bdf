import type { Database } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import type { AccessChange } from "../change-access.ts";
import { endRefreshTokens } from "../end-refresh-tokens.ts";
import type { Named } from "../require-named.ts";
import { changeAsSource } from "./change-as-source.ts";
import type { Identity } from "./source.ts";
import { changesStanding, syncStanding } from "./sync-standing.ts";

/** Asks a source for those of some subjects whom it still knows. */
export type Confirm = (subjects: readonly string[]) => Promise<ReadonlyMap<string, Identity>>;

export interface Resynced {
  readonly confirmed: number;
  /** Accounts that cannot be used from now on. */
  readonly suspended: number;
}

const pageSize = 200;

/**
 * Looks at all accounts of a source, also at those who do not sign in: whoever has gone there can use nothing here any
 * more, whatever was issued to them, and whoever has come back is let in again. What an administrator has disabled stays so.
 */
export async function resyncSource(
  database: Database,
  source: string,
  { ask, now, signal }: { readonly ask: Confirm; readonly now: () => number; readonly signal: AbortSignal },
): Promise<Resynced> {
  const sum = { confirmed: 0, suspended: 0 };
  for (let after = ""; !signal.aborted;) {
    const page = await database.read
      .selectFrom("account_identities")
      .select(["subject", "account_id", "name", "stale"])
      .where("source", "=", source)
      .where("subject", ">", after)
      .orderBy("subject")
      .limit(pageSize)
      .execute();
    const subjects = page.map(({ subject }) => subject);
    if (subjects.length === 0) break;
    const askedAt = now();
    const known = await ask(subjects);
    const gone = subjects.filter((subject) => !known.has(subject));
    const standings = page.flatMap(({ subject, account_id: id, name }) => {
      const identity = known.get(subject);
      return identity === undefined ? [] : [{ account: { id, name }, groups: identity.groups, roles: identity.roles }];
    });
    const changesRights =
      page.some(({ stale }) => stale === 1) || (await changesStanding(database.read, source, standings));
    sum.suspended += await changeAsSource(database, { source, now: now(), changesRights }, async (change) => {
      // Who has signed in meanwhile was confirmed after the source was asked here: what it said then counts.
      const rest = await change.tx
        .selectFrom("account_identities")
        .select("subject")
        .where("source", "=", source)
        .where("subject", "in", subjects)
        .where("confirmed_at", "<=", askedAt)
        .execute();
      const isOlder = new Set(rest.map(({ subject }) => subject));
      for (const identity of known.values())
        if (isOlder.has(identity.subject)) await confirmIdentity(change, source, identity);
      return loseIdentities(
        change,
        source,
        gone.filter((subject) => isOlder.has(subject)),
      );
    });
    sum.confirmed += known.size;
    after = subjects.at(-1) ?? "";
  }
  return sum;
}

/**
 * Accounts that their source has not confirmed since then may only read, until it does: what it said of their groups is
 * too old to write by. @returns how many
 */
export async function markStale(
  database: Database,
  source: string,
  { before, now }: { readonly before: number; readonly now: number },
): Promise<number> {
  const old = database.read
    .selectFrom("account_identities")
    .select("subject")
    .where("source", "=", source)
    .where("active", "=", 1)
    .where("stale", "=", 0)
    .where("confirmed_at", "<", before);
  if ((await old.limit(1).executeTakeFirst()) === undefined) return 0;
  return changeAsSource(database, { source, now, changesRights: true }, async ({ tx }) => {
    const marked = await tx
      .updateTable("account_identities")
      .set({ stale: 1 })
      .where("source", "=", source)
      .where("active", "=", 1)
      .where("stale", "=", 0)
      .where("confirmed_at", "<", before)
      .executeTakeFirst();
    return Number(marked.numUpdatedRows);
  });
}

/** The accounts of a source that is there no more, or not enabled, cannot be used. */
export async function suspendOthers(database: Database, sources: readonly string[], now: number): Promise<number> {
  const rest = await database.read
    .selectFrom("account_identities")
    .select(["source", "subject"])
    .where("active", "=", 1)
    .$if(sources.length > 0, (query) => query.where("source", "not in", sources))
    .limit(pageSize)
    .execute();
  if (rest.length === 0) return 0;
  let suspended = 0;
  for (const source of new Set(rest.map((one) => one.source))) {
    const gone = rest.filter((one) => one.source === source).map(({ subject }) => subject);
    const change = { source, now, changesRights: false };
    suspended += await changeAsSource(database, change, (doing) => loseIdentities(doing, source, gone));
  }
  return suspended + (await suspendOthers(database, sources, now));
}

/** Whether a resync would have anything to do. */
export async function hasIdentities(database: Database, sources: readonly string[]): Promise<boolean> {
  const one = await database.read
    .selectFrom("account_identities")
    .select("subject")
    .where((eb) => eb.or([eb("active", "=", 1), ...(sources.length > 0 ? [eb("source", "in", sources)] : [])]))
    .limit(1)
    .executeTakeFirst();
  return one !== undefined;
}

/** What a source has just told of somebody, where they have an account. @returns its id; `undefined`: they have none */
export async function confirmIdentity(
  change: AccessChange,
  source: string,
  identity: Identity,
): Promise<string | undefined> {
  const { tx, now } = change;
  const row = await tx
    .updateTable("account_identities")
    .set({ ...toldBy(identity), active: 1, stale: 0, confirmed_at: now })
    .where("source", "=", source)
    .where("subject", "=", identity.subject)
    .returning("account_id")
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const id = row.account_id;
  const { name } = await tx.selectFrom("accounts").select("name").where("id", "=", id).executeTakeFirstOrThrow();
  const resumed = await tx
    .updateTable("accounts")
    .set((eb) => ({ suspended: 0, revision: eb("revision", "+", 1) }))
    .where("id", "=", id)
    .where("suspended", "=", 1)
    .executeTakeFirst();
  if (resumed.numUpdatedRows > 0n) recordEvents(tx, suspension({ id, name }, false));
  await syncStanding(change, source, { account: { id, name }, groups: identity.groups, roles: identity.roles });
  return id;
}

const suspension = (target: Named, suspended: boolean) =>
  ({ kind: "access-changed", action: "account-changed", target, after: { suspended } }) as const;

export const toldBy = ({ name, displayName, email }: Identity) => ({
  name,
  display_name: displayName ?? null,
  email: email ?? null,
});

/** @returns how many accounts nobody knows any more; what was issued to them ends with the next request */
async function loseIdentities({ tx }: AccessChange, source: string, subjects: readonly string[]): Promise<number> {
  if (subjects.length === 0) return 0;
  const lost = await tx
    .updateTable("account_identities")
    .set({ active: 0 })
    .where("source", "=", source)
    .where("subject", "in", subjects)
    .where("active", "=", 1)
    .returning("account_id")
    .execute();
  if (lost.length === 0) return 0;
  const suspended = await tx
    .updateTable("accounts")
    .set((eb) => ({ suspended: 1, epoch: eb("epoch", "+", 1), revision: eb("revision", "+", 1) }))
    .where(
      "id",
      "in",
      lost.map(({ account_id }) => account_id),
    )
    .where("suspended", "=", 0)
    // One that has got a password of its own is the database's.
    .where("password_hash", "=", "")
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom("account_identities")
            .select("subject")
            .whereRef("account_identities.account_id", "=", "accounts.id")
            .where("active", "=", 1),
        ),
      ),
    )
    .returning(["id", "name"])
    .execute();
  await endRefreshTokens(tx, suspended, "account-suspended");
  recordEvents(tx, ...suspended.map((account) => suspension(account, true)));
  return suspended.length;
}
