import { unlink } from "node:fs/promises";
import { isAbsent } from "../../storage/is-absent.ts";

export async function unlessAbsent<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Whether it was there. */
export const remove = async (path: string): Promise<boolean> =>
  (await unlessAbsent(unlink(path).then(() => true))) ?? false;
