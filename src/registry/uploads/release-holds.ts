import type { Registry } from "../registry.ts";
import { sessionWrite } from "./session.ts";

/**
 * Frees the sessions that a server which is no more was writing to, so that their clients can go on at once. For the
 * start of the only server there is: to another it would take away what it is writing to.
 */
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
