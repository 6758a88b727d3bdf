import { expect, it } from "bun:test";
import { newBlobKey, type UploadState } from "../../platform/blobs/blob-store.ts";
import { runningHashes, startHash } from "./running-hashes.ts";

it("keeps the hash of an upload until it is taken, or the upload has ended", () => {
  const hashes = runningHashes();
  const hash = startHash("sha256");
  hashes.keep("a", { sizeBytes: 5, hash });
  hashes.keep("b", { sizeBytes: 5, hash });
  expect(hashes.take("a", 5, "sha256")).toBe(hash);
  expect(hashes.take("a", 5, "sha256")).toBeUndefined();
  hashes.drop("b");
  expect(hashes.take("b", 5, "sha256")).toBeUndefined();
});

it("tells once how an upload was left, and keeps its hash beyond that", () => {
  const hashes = runningHashes();
  const upload = { key: newBlobKey(), state: "" as UploadState };
  const left = { repository: "team/app", principal: "tester", upload, sizeBytes: 5, digest: undefined, activeAt: 1 };
  const hash = startHash("sha256");
  hashes.keep("a", { sizeBytes: 5, hash, left });
  expect([hashes.takeLeft("a"), hashes.takeLeft("a"), hashes.takeLeft("b")]).toEqual([left, undefined, undefined]);
  expect(hashes.take("a", 5, "sha256")).toBe(hash);
});

it("does not take one that stands elsewhere, and forgets the oldest of too many", () => {
  const hashes = runningHashes();
  hashes.keep("a", { sizeBytes: 5, hash: startHash("sha256") });
  expect(hashes.take("a", 4, "sha256")).toBeUndefined();
  for (let id = 0; id <= 1000; id++) hashes.keep(String(id), { sizeBytes: 5, hash: startHash("sha256") });
  expect(hashes.take("0", 5, "sha256")).toBeUndefined();
  expect(hashes.take("1", 5, "sha256")).toBeDefined();
});
