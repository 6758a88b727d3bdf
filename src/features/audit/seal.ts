import { clock } from "../../platform/database/clock.ts";
import type { Database, Reader } from "../../platform/database/database.ts";
import { addEntries } from "./add-entries.ts";
import { type Link, startSeal } from "./chain.ts";
import { server } from "../../platform/events/access-event.ts";
import type { EntryRow } from "./tables.ts";

/** Of a read; a seal is over many. */
const entriesAtOnce = 500;
const mostOfSeal = 10_000;

/** The newest seal, or where the chain begins. */
async function lastLink(read: Reader): Promise<Link> {
  const seal = await read
    .selectFrom("audit_seals")
    .select(["number", "to_id as to", "digest"])
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  return seal ?? firstOfChain(read);
}

/** Behind what has gone with its age. */
export const firstOfChain = (read: Reader): Promise<Link> =>
  read
    .selectFrom("audit_cut")
    .select(["number", "to_id as to", "digest"])
    .where("id", "=", 1)
    .executeTakeFirstOrThrow();

/** Entries behind an id, from the oldest on. */
export const entriesBehind = (read: Reader, id: number, limit: number = entriesAtOnce): Promise<readonly EntryRow[]> =>
  read.selectFrom("audit_entries").selectAll().where("id", ">", id).orderBy("id").limit(limit).execute();

export async function hasUnsealed({ read }: Database): Promise<boolean> {
  return (await entriesBehind(read, (await lastLink(read)).to, 1)).length > 0;
}

/** Whether the oldest seal is to be given up, or something of one that was is still there. */
export async function hasOldEntries({ read }: Database, olderThan: number): Promise<boolean> {
  const oldest = await read.selectFrom("audit_seals").select("newest_at").orderBy("number").limit(1).executeTakeFirst();
  if (oldest !== undefined && oldest.newest_at < olderThan) return true;
  const { to } = await firstOfChain(read);
  const left = await read.selectFrom("audit_entries").select("id").where("id", "<=", to).limit(1).executeTakeFirst();
  return left !== undefined;
}

/** Seals what there is. What somebody else has sealed meanwhile is sealed. @returns how many entries */
export async function sealEntries(database: Database, signal?: AbortSignal): Promise<number> {
  for (let sealed = 0; ;) {
    const some = signal?.aborted === true ? 0 : await sealSome(database);
    sealed += some;
    if (some === 0) return sealed;
  }
}

async function sealSome(database: Database): Promise<number> {
  const { read, dialect } = database;
  const before = await lastLink(read);
  const seal = startSeal(before.digest);
  let to = before.to;
  let newest_at = 0;
  while (to - before.to < mostOfSeal) {
    const rows = await entriesBehind(read, to);
    for (const row of rows) seal.add(row);
    newest_at = rows.reduce((newest, { at }) => Math.max(newest, at), newest_at);
    to = rows.at(-1)?.id ?? to;
    if (rows.length < entriesAtOnce) break;
  }
  if (to === before.to) return 0;
  const row = { number: before.number + 1, from_id: before.to + 1, to_id: to, digest: seal.digest(), newest_at };
  // Of two who seal the same, the first one's counts.
  await database.write((tx) =>
    tx
      .insertInto("audit_seals")
      .values({ ...row, sealed_at: clock(dialect) })
      .onConflict((conflict) => conflict.column("number").doNothing())
      .execute(),
  );
  return to - before.to;
}

/**
 * Gives up the oldest entries, seal by seal, of which each is older than a time; what is behind them still proves itself.
 * `sweepCut` removes them.
 * @returns how many entries
 */
export async function cutEntries(
  database: Database,
  { at, olderThan }: { readonly at: number; readonly olderThan: number },
): Promise<number> {
  const { read } = database;
  for (let cut = 0; ;) {
    const oldest = await read.selectFrom("audit_seals").selectAll().orderBy("number").limit(1).executeTakeFirst();
    if (oldest === undefined || oldest.newest_at >= olderThan) return cut;
    const { number, from_id, to_id, digest } = oldest;
    await database.write(async (tx) => {
      await addEntries(tx, [
        { at, action: "audit-cut", outcome: "done", by: server, detail: { seal: number, to: to_id, digest } },
      ]);
      await tx.updateTable("audit_cut").set({ number, to_id, digest }).where("id", "=", 1).execute();
      await tx.deleteFrom("audit_seals").where("number", "=", number).execute();
    });
    cut += to_id - from_id + 1;
  }
}

/** Removes what a cut has left behind, a few at once. */
export async function sweepCut(database: Database, signal?: AbortSignal): Promise<void> {
  const { to } = await firstOfChain(database.read);
  for (;;) {
    if (signal?.aborted === true) return;
    const removed = await database.write(async (tx) => {
      await tx
        .deleteFrom("audit_requests")
        .where("entry_id", "in", (eb) =>
          eb.selectFrom("audit_entries").select("id").where("id", "<=", to).orderBy("id").limit(entriesAtOnce),
        )
        .execute();
      return tx
        .deleteFrom("audit_entries")
        .where("id", "in", (eb) =>
          eb.selectFrom("audit_entries").select("id").where("id", "<=", to).orderBy("id").limit(entriesAtOnce),
        )
        .returning("id")
        .execute();
    });
    if (removed.length < entriesAtOnce) return;
  }
}
