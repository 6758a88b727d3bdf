import type { Writer } from "../database.ts";
import { straightWays } from "../prepared.ts";

/**
 * What a transaction asks for at once (`ask`) goes one after the other, and the transaction does not end before all of it
 * has been answered. Kysely would send what still waits behind the rollback, when its connection is another's already.
 */
export async function askInOrder<T>(tx: Writer, work: (tx: Writer) => Promise<T>): Promise<T> {
  let before: Promise<unknown> = Promise.resolve();
  straightWays.set(tx, (query) => {
    const answer = before.then(() => tx.executeQuery(query));
    before = answer.catch(() => undefined);
    return answer;
  });
  try {
    return await work(tx);
  } finally {
    await before;
  }
}
