import type { BlobStore } from "./blob-store.ts";
import { errorCode } from "../telemetry/error-code.ts";

/**
 * Writes a few bytes as an upload would, durably, and drops them.
 * @returns why this store takes no bytes; `undefined` when it does
 */
export async function blobStoreProblem(store: BlobStore): Promise<string | undefined> {
  try {
    const upload = await store.begin();
    const [appended] = await Promise.allSettled([store.append(upload, 0, fewBytes())]);
    const [cancelled] = await Promise.allSettled([store.cancel(upload)]);
    for (const outcome of [appended, cancelled]) if (outcome.status === "rejected") throw outcome.reason;
    return undefined;
  } catch (error) {
    return `the blob store takes no bytes (${errorCode(error)})`;
  }
}

async function* fewBytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("is there room?");
}
