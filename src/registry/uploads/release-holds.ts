import type { Registry } from "../registry.ts";
import { sessionWrite } from "./session.ts";

/**
 * Frees the sessions that processes which are no more were writing to, so that their clients can go on at once.
 * @param processes of these names
 */
export async function releaseHoldsOf({ database }: Registry, processes: readonly string[]): Promise<void> {
  await database.write((tx) =>
    tx
      .updateTable("uploads")
      .set({ holder: null, held_until: 0 })
      .where(({ or, eb }) => or(processes.map((process) => eb("holder", "like", `${process}/%`))))
      .execute(),
  );
}

/** The same for whoever wrote before. For the start of the only server there is: to another it would take its own away. */
export async function releaseHolds({ database }: Registry): Promise<void> {
  const isHeld = await database.read
    .selectFrom("uploads")
    .select("id")
    .where("holder", "is not", null)
    .limit(1)
    .executeTakeFirst();
  if (isHeld === undefined) return;
  await database.write(
    (tx) => tx.updateTable("uploads").set({ holder: null, held_until: 0 }).where("holder", "is not", null).execute(),
    sessionWrite,
  );
}
