import { type LeftUpload, type RunningHashes, runningHashes } from "../../../src/registry/uploads/running-hashes.ts";

/** What a process remembers of uploads that others go on with: how it left them, however long ago that was. */
export function staleMemory(): RunningHashes {
  const hashes = runningHashes();
  const left = new Map<string, LeftUpload>();
  return {
    ...hashes,
    keep(id, kept) {
      hashes.keep(id, kept);
      if (kept.left !== undefined) left.set(id, kept.left);
    },
    takeLeft: (id) => left.get(id),
  };
}
