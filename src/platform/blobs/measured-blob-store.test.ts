import { describe, expect, it } from "bun:test";
import { describeBlobStore } from "./blob-store.contract.ts";
import { newBlobKey } from "./blob-store.ts";
import { measuredBlobStore } from "./measured-blob-store.ts";
import { memoryBlobStore } from "./memory/memory-blob-store.ts";

describeBlobStore("measured", async () => measuredBlobStore(memoryBlobStore(), () => undefined));

describe("measured", () => {
  it("tells of every action that moves bytes, the failed ones too", async () => {
    const actions: string[] = [];
    const store = measuredBlobStore(memoryBlobStore(), (action, seconds) => {
      expect(seconds).toBeGreaterThanOrEqual(0);
      actions.push(action);
    });
    const upload = await store.begin();
    const { state } = await store.append(upload, 0, chunks());
    await store.finish({ key: upload.key, state }, 5);
    await store.open(upload.key);
    await store.delete([upload.key]);
    await store.cancel(await store.begin());
    const unknown = { key: newBlobKey(), state: upload.state };
    await Promise.allSettled([store.finish(unknown, 5)]);
    expect(actions).toEqual(["append", "finish", "open", "delete", "cancel", "finish"]);
  });
});

async function* chunks(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("bytes");
}
