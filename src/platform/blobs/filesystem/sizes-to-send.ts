import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { recent } from "../../caches/recent.ts";
import { isAbsent } from "../../storage/is-absent.ts";

/** So many files of those that are asked for are known to be at hand, for so long after they were fetched. */
const [most, atHandMs] = [10_000, 60_000];

/**
 * The size of a file that is about to be sent, `undefined` where there is none. Whoever sends it opens it on the event
 * loop, when its answer has begun: so a thread fetches from the disk what that takes, and where no descriptor is left,
 * this is where it shows.
 *
 * What was fetched a minute ago the kernel still has, and on the loop it is looked at in 5 us. By way of a thread that
 * is 90, and the answer, begun in a later turn, leaves in six packets instead of one.
 * @param look as stat, in a thread
 * @throws Error EMFILE, ENFILE, and what `look` throws
 */
export function sizesToSend(
  look: (path: string) => Promise<Stats | undefined>,
): (path: string) => Promise<number | undefined> {
  const atHand = recent<true>({ most, forMs: atHandMs });
  return async (path) => {
    const size = atHand.get(path) === true ? openedSize(path) : undefined;
    if (size !== undefined) return size;
    if ((await look(path)) === undefined) return undefined;
    atHand.set(path, true);
    return openedSize(path);
  };
}

function openedSize(path: string): number | undefined {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return fstatSync(descriptor).size;
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
