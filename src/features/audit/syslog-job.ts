import { hostname } from "node:os";
import type { Database } from "../../platform/database/database.ts";
import type { Job } from "../../platform/jobs/run-jobs.ts";
import type { Collector, sendMessages } from "../../platform/net/syslog/send-messages.ts";
import { entriesBehind } from "./seal.ts";
import { syslogMessage } from "./syslog-message.ts";

const everyMs = 1000;
/** Of one connection; no more of it is in memory. */
const entriesAtOnce = 500;
const limitMs = 30_000;
const exportName = "syslog";

/** What connects is not loaded by those who have no collector. */
const sendAtLast: typeof sendMessages = async (...given) =>
  (await import("../../platform/net/syslog/send-messages.ts")).sendMessages(...given);

/**
 * Sends every entry to a collector of syslog, in their order and at least once: how far it has come is a row, which moves on when
 * the collector has read them. Where it is away they wait in the log itself, and the job tries again after longer and longer rests.
 */
export const syslogJob = (database: Database, collector: Collector, send: typeof sendMessages = sendAtLast): Job => ({
  name: "audit-syslog",
  everyMs,
  hasWork: async () => (await countUnsent(database)) > 0,
  async run({ signal, progress }) {
    let sent = 0;
    for (let position = await sentUpTo(database); !signal.aborted;) {
      const rows = await entriesBehind(database.read, position, entriesAtOnce);
      const last = rows.at(-1);
      if (last === undefined) break;
      await send(
        collector,
        rows.map((row) => syslogMessage(row, hostname())),
        limitMs,
      );
      // Who was thought dead may have sent the same: then they are sent twice.
      if (!(await moveOn(database, position, last.id))) break;
      position = last.id;
      sent += rows.length;
      progress(`${sent} entries sent`);
    }
  },
});

/** How many entries wait. */
export async function countUnsent(database: Database): Promise<number> {
  const { last_id } = await database.read
    .selectFrom("audit_state")
    .select("last_id")
    .where("id", "=", 1)
    .executeTakeFirstOrThrow();
  return Math.max(0, last_id - (await sentUpTo(database)));
}

async function sentUpTo({ read }: Database): Promise<number> {
  const row = await read
    .selectFrom("audit_exports")
    .select("sent_id")
    .where("name", "=", exportName)
    .executeTakeFirst();
  return row?.sent_id ?? 0;
}

const moveOn = (database: Database, from: number, to: number): Promise<boolean> =>
  database.write(async (tx) => {
    await tx
      .insertInto("audit_exports")
      .values({ name: exportName, sent_id: 0 })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .execute();
    const moved = await tx
      .updateTable("audit_exports")
      .set({ sent_id: to })
      .where("name", "=", exportName)
      .where("sent_id", "=", from)
      .returning("name")
      .execute();
    return moved.length > 0;
  });
