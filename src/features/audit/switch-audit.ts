import type { Database } from "../../platform/database/database.ts";
import { dropConsumer, placeConsumer } from "../../platform/events/consume-events.ts";
import { addEntries } from "./add-entries.ts";
import { consumerName } from "./consume.ts";
import { server } from "../../platform/events/access-event.ts";

/** Begins to remember what happens from now on, or ceases to; either is remembered itself. Nothing where it is so already. */
export async function switchAudit(database: Database, enabled: boolean, now: number): Promise<void> {
  const wanted = enabled ? 1 : 0;
  const state = await database.read
    .selectFrom("audit_state")
    .select("enabled")
    .where("id", "=", 1)
    .executeTakeFirstOrThrow();
  if (state.enabled === wanted) return;
  await database.write(async (tx) => {
    const switched = await tx
      .updateTable("audit_state")
      .set({ enabled: wanted })
      .where("id", "=", 1)
      .where("enabled", "!=", wanted)
      .returning("id")
      .execute();
    if (switched.length === 0) return;
    if (enabled) await placeConsumer(tx, database, consumerName);
    else await dropConsumer(tx, consumerName);
    const action = enabled ? "audit-enabled" : "audit-disabled";
    await addEntries(tx, [{ at: now, action, outcome: "done", by: server }]);
  });
}
