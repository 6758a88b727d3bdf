import type { Database, Writer } from "../../platform/database/database.ts";
import type { Identity } from "./source.ts";

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
  { confirm, now, signal }: { readonly confirm: Confirm; readonly now: () => number; readonly signal: AbortSignal },
): Promise<Resynced> {
  const sum = { confirmed: 0, suspended: 0 };
  for (let after = ""; !signal.aborted;) {
    const page = await database.read
      .selectFrom("account_identities")
      .select("subject")
      .where("source", "=", source)
      .where("subject", ">", after)
      .orderBy("subject")
      .limit(pageSize)
      .execute();
    const subjects = page.map(({ subject }) => subject);
    if (subjects.length === 0) break;
    const known = await confirm(subjects);
    const gone = subjects.filter((subject) => !known.has(subject));
    sum.suspended += await database.write(async (tx) => {
      for (const identity of known.values()) await confirmIdentity(tx, source, { identity, now: now() });
      return loseIdentities(tx, source, gone);
    });
    sum.confirmed += known.size;
    after = subjects.at(-1) ?? "";
  }
  return sum;
}

/** The accounts of a source that is there no more, or not enabled, cannot be used. */
export async function suspendOthers(database: Database, sources: readonly string[]): Promise<number> {
  const rest = await database.read
    .selectFrom("account_identities")
    .select(["source", "subject"])
    .where("active", "=", 1)
    .$if(sources.length > 0, (query) => query.where("source", "not in", sources))
    .limit(pageSize)
    .execute();
  if (rest.length === 0) return 0;
  const suspended = await database.write(async (tx) => {
    let count = 0;
    for (const { source, subject } of rest) count += await loseIdentities(tx, source, [subject]);
    return count;
  });
  return suspended + (await suspendOthers(database, sources));
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

/** What a source has just told of somebody whose account is there. @returns the account's id; `undefined`: there is none */
export async function confirmIdentity(
  tx: Writer,
  source: string,
  { identity, now }: { readonly identity: Identity; readonly now: number },
): Promise<string | undefined> {
  const row = await tx
    .updateTable("account_identities")
    .set({ ...toldBy(identity), active: 1, confirmed_at: now })
    .where("source", "=", source)
    .where("subject", "=", identity.subject)
    .returning("account_id")
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const account = tx.updateTable("accounts").set({ suspended: 0 }).where("id", "=", row.account_id);
  await account.where("suspended", "=", 1).execute();
  return row.account_id;
}

export const toldBy = ({ name, displayName, email }: Identity) => ({
  name,
  display_name: displayName ?? null,
  email: email ?? null,
});

/** @returns how many accounts nobody knows any more; what was issued to them ends with the next request */
async function loseIdentities(tx: Writer, source: string, subjects: readonly string[]): Promise<number> {
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
    .set((eb) => ({ suspended: 1, epoch: eb("epoch", "+", 1) }))
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
    .executeTakeFirst();
  return Number(suspended.numUpdatedRows);
}
