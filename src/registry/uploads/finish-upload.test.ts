import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import {
  chunks,
  codesOf,
  countedStore,
  countRows,
  digestOf,
  keysOf,
  repositoryName,
  testRegistry,
  testSettings,
} from "../../../test/support/registry.ts";
import type { DigestAlgorithm } from "../../oci/digest.ts";
import { chunksOf } from "../../platform/blobs/blob-body.ts";
import { type BlobStore, UploadLostError } from "../../platform/blobs/blob-store.ts";
import type { Database } from "../../platform/database/database.ts";
import { findBlob } from "../blobs.ts";
import { collect } from "../collect.ts";
import { registryMigrations } from "../migrations.ts";
import { appendUpload } from "./append-upload.ts";
import { cancelUpload } from "./cancel-upload.ts";
import { finishUpload, pushBlob } from "./finish-upload.ts";
import { listUploads } from "./list-uploads.ts";
import { runningHashes } from "./running-hashes.ts";
import type { UploadTarget } from "./session.ts";
import { startUpload } from "./start-upload.ts";

const app = repositoryName("team/app");
const owner = { repository: app, principal: "tester" };
const text = "the bytes of a blob";

const whole = (body: string) => ({ chunks: chunks(body), lengthBytes: Buffer.byteLength(body) });
const nothingMore = () => ({ start: undefined, ...whole("") });
const sessionOf = (principal: string) => ({ repository: app, principal, algorithm: "sha256" as const });

async function* breaking(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("half");
  throw new Error("the client went away");
}

const loseBytes: BlobStore["finishAsIs"] = () => Promise.reject(new UploadLostError("lost"));

describeEachDatabase("finishing an upload", (_dialect, open) => {
  async function start() {
    const { blobs, opened } = countedStore();
    const registry = testRegistry(await open([registryMigrations]), { blobs });
    const begin = async (algorithm: DigestAlgorithm = "sha256") => ({
      ...owner,
      id: await startUpload(registry, { ...owner, algorithm }),
    });
    return { registry, opened, begin };
  }

  it("knows the digest of what streamed through it, in one request or in many, without reading it again", async () => {
    const { registry, opened, begin } = await start();
    const digest = digestOf(text);
    await pushBlob(registry, { ...owner, algorithm: "sha256" }, { digest, ...whole(text) });
    await finishUpload(registry, await begin(), { start: 0, digest, ...whole(text) });
    const target = await begin();
    for (const character of text) await appendUpload(registry, target, { start: undefined, ...whole(character) });
    await finishUpload(registry, target, { ...nothingMore(), digest });
    const other = await begin();
    await appendUpload(registry, other, { start: undefined, ...whole(text.slice(0, 5)) });
    await finishUpload(registry, other, { start: 5, digest, ...whole(text.slice(5)) });
    expect(opened()).toBe(0);
    expect(await countRows(registry)).toMatchObject({ blobs: 1, uploads: 0 });
  });

  it("leaves out what a chunk that was never acknowledged wrote behind the end", async () => {
    const { registry, begin } = await start();
    const target = await begin();
    await appendUpload(registry, target, { start: undefined, ...whole(text) });
    const row = await registry.database.read.selectFrom("uploads").selectAll().executeTakeFirstOrThrow();
    // As a process leaves it that dies in the middle of the next chunk.
    await registry.blobs.append({ key: row.blob_key, state: row.state } as never, text.length, chunks(" and more"));
    await finishUpload(registry, target, { ...nothingMore(), digest: digestOf(text) });
    const blob = await findBlob(registry, app, digestOf(text));
    const body = await registry.blobs.open(blob.key);
    const stored = body && Buffer.concat(await Array.fromAsync(chunksOf(body))).toString();
    expect([blob.sizeBytes, stored]).toEqual([text.length, text]);
  });

  it("needs no second read on another process, where the last chunk is in", async () => {
    const { registry, opened, begin } = await start();
    const target = await begin();
    await appendUpload(registry, target, { start: undefined, ...whole(text) });
    const elsewhere = { ...registry, hashes: runningHashes() };
    await finishUpload(elsewhere, target, { ...nothingMore(), digest: digestOf(text) });
    expect(opened()).toBe(0);
  });

  it("reads once on another process, where bytes are still to come", async () => {
    const { registry, opened, begin } = await start();
    const target = await begin();
    await appendUpload(registry, target, { start: undefined, ...whole(text.slice(0, 5)) });
    const elsewhere = { ...registry, hashes: runningHashes() };
    await appendUpload(elsewhere, target, { start: undefined, ...whole(text.slice(5, 9)) });
    await finishUpload(elsewhere, target, { start: 9, digest: digestOf(text), ...whole(text.slice(9)) });
    expect(opened()).toBe(1);
    expect((await findBlob(registry, app, digestOf(text))).sizeBytes).toBe(text.length);
  });

  it("reads once where sha512 is chosen at the end, and not at all where it was at the start", async () => {
    const { registry, opened, begin } = await start();
    const digest = digestOf(text, "sha512");
    const early = await begin("sha512");
    await appendUpload(registry, early, { start: undefined, ...whole(text) });
    await finishUpload(registry, early, { ...nothingMore(), digest });
    expect(opened()).toBe(0);
    await finishUpload(registry, await begin(), { start: 0, digest, ...whole(text) });
    expect(opened()).toBe(0);
    const late = await begin();
    await appendUpload(registry, late, { start: undefined, ...whole(text) });
    await finishUpload(registry, late, { ...nothingMore(), digest });
    expect(opened()).toBe(1);
    expect((await findBlob(registry, app, digest)).sizeBytes).toBe(text.length);
  });

  it("makes a blob of nothing", async () => {
    const { registry, begin } = await start();
    await finishUpload(registry, await begin(), { ...nothingMore(), digest: digestOf("") });
    expect((await findBlob(registry, app, digestOf(""))).sizeBytes).toBe(0);
  });

  it("frees everything where the digest is another, found while streaming or by reading again", async () => {
    const { registry, opened, begin } = await start();
    for (const algorithm of ["sha256", "sha512"] as const) {
      const target = await begin();
      await appendUpload(registry, target, { start: undefined, ...whole(text) });
      const wrong = { ...nothingMore(), digest: digestOf("something else", algorithm) };
      expect(await codesOf(finishUpload(registry, target, wrong))).toEqual(["DIGEST_INVALID"]);
      expect(await codesOf(finishUpload(registry, target, wrong))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    }
    const digest = digestOf("something else");
    const upload = { ...owner, algorithm: "sha256" } as const;
    expect(await codesOf(pushBlob(registry, upload, { digest, ...whole(text) }))).toEqual(["DIGEST_INVALID"]);
    expect(opened()).toBe(1);
    await collect(registry);
    expect(await countRows(registry)).toMatchObject({ blobs: 0, uploads: 0, repositories: 0, doomed_blobs: 0 });
    expect(await keysOf(registry.blobs)).toEqual([]);
  });

  it("frees what a single request brought before its body broke", async () => {
    const { registry } = await start();
    const broken = { digest: digestOf(text), chunks: breaking(), lengthBytes: 100 };
    const [push] = await Promise.allSettled([pushBlob(registry, { ...owner, algorithm: "sha256" }, broken)]);
    expect(push.status).toBe("rejected");
    expect(await countRows(registry)).toMatchObject({ uploads: 0, blobs: 0 });
  });

  it("is done once, when many ask for it at the same moment", async () => {
    const { registry, begin } = await start();
    const target = await begin();
    await appendUpload(registry, target, { start: undefined, ...whole(text) });
    const codes = await Promise.all(
      Array.from({ length: 10 }, () =>
        codesOf(finishUpload(registry, target, { ...nothingMore(), digest: digestOf(text) })),
      ),
    );
    expect(codes.filter((problems) => problems.length === 0).length).toBe(1);
    expect(new Set(codes.flat()).difference(new Set(["BLOB_UPLOAD_OUT_OF_ORDER", "BLOB_UPLOAD_UNKNOWN"]))).toEqual(
      new Set(),
    );
    const { key } = await findBlob(registry, app, digestOf(text));
    expect(await keysOf(registry.blobs)).toEqual([key]);
  });

  it("ends without a claim what nobody has touched since this process left it, and nothing else", async () => {
    const { registry, begin } = await start();
    const elsewhere = { ...registry, hashes: runningHashes() };
    const digest = digestOf(text);
    const finish = { ...nothingMore(), digest, start: text.length };
    const meanwhile = (target: UploadTarget, act: () => Promise<unknown>) => {
      const finishAsIs: BlobStore["finishAsIs"] = async (...given) => {
        const stat = await registry.blobs.finishAsIs(...given);
        await act();
        return stat;
      };
      return codesOf(finishUpload({ ...registry, blobs: { ...registry.blobs, finishAsIs } }, target, finish));
    };
    const [grown, ended, untouched] = [await begin(), await begin(), await begin()];
    for (const target of [grown, ended, untouched])
      await appendUpload(registry, target, { start: undefined, ...whole(text) });
    const grow = () => appendUpload(elsewhere, grown, { start: undefined, ...whole(" and more") });
    expect(await meanwhile(grown, grow)).toEqual(["BLOB_UPLOAD_OUT_OF_ORDER"]);
    expect(await meanwhile(ended, () => cancelUpload(elsewhere, ended))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    expect(await countRows(registry)).toMatchObject({ blobs: 0, uploads: 2 });
    const row = () => registry.database.read.selectFrom("uploads").select(["id", "holder"]).execute();
    const held: (string | null | undefined)[] = [];
    const look = async () => held.push((await row()).find(({ id }) => id === untouched.id)?.holder);
    expect([await meanwhile(untouched, look), held]).toEqual([[], [null]]);
    await finishUpload(registry, grown, { ...nothingMore(), digest: digestOf(`${text} and more`) });
    const { key } = await findBlob(registry, app, digest);
    const { key: longer } = await findBlob(registry, app, digestOf(`${text} and more`));
    expect(await keysOf(registry.blobs)).toEqual([key, longer].toSorted());
  });

  it("tells of the disk that failed behind its commit, which has ended the session", async () => {
    const { registry, begin } = await start();
    const target = await begin();
    await appendUpload(registry, target, { start: undefined, ...whole(text) });
    const error = Object.assign(new Error("the log cannot be synced"), { code: "EIO" });
    const write: Database["write"] = async (...given) => {
      await registry.database.write(...given);
      throw error;
    };
    const failing = { ...registry, database: { ...registry.database, write } };
    const finish = finishUpload(failing, target, { ...nothingMore(), digest: digestOf(text) });
    expect(await Promise.allSettled([finish])).toEqual([{ status: "rejected", reason: error }]);
    expect(await countRows(registry)).toMatchObject({ uploads: 0, blobs: 1 });
  });

  it("knows no upload any more of which the store lost the bytes before", async () => {
    const { registry, begin } = await start();
    const target = await begin();
    await appendUpload(registry, target, { start: undefined, ...whole(text) });
    const losing = { ...registry, blobs: { ...registry.blobs, finishAsIs: loseBytes } };
    const finish = { ...nothingMore(), digest: digestOf(text) };
    expect(await codesOf(finishUpload(losing, target, finish))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    expect(await countRows(registry)).toMatchObject({ uploads: 0, blobs: 0 });
  });

  it("of thirty pushers of one blob keeps one's bytes; the others' go", async () => {
    const { registry } = await start();
    const digest = digestOf(text);
    const repositories = Array.from({ length: 30 }, (_, number) => repositoryName(`team/app${number % 3}`));
    await Promise.all(
      repositories.map((repository) =>
        pushBlob(registry, { ...owner, repository, algorithm: "sha256" }, { digest, ...whole(text) }),
      ),
    );
    expect(await countRows(registry)).toMatchObject({ blobs: 1, repository_blobs: 3, doomed_blobs: 29, uploads: 0 });
    expect((await keysOf(registry.blobs)).length).toBe(30);
    expect((await collect(registry)).files).toBe(29);
    const { key } = await findBlob(registry, repositoryName("team/app0"), digest);
    expect(await keysOf(registry.blobs)).toEqual([key]);
    expect(await countRows(registry)).toMatchObject({ doomed_blobs: 0 });
  });
});

describeEachDatabase("opening uploads", (_dialect, open) => {
  const limits = { ...testSettings.uploads, maxSessions: 5, maxSessionsPerPrincipal: 3 };
  it("is limited for each principal, and for all", async () => {
    const { blobs } = countedStore();
    const uploads = { begun: 0, cancelled: 0 };
    const counted = {
      ...blobs,
      begin: () => ((uploads.begun += 1), blobs.begin()),
      cancel: (upload: Parameters<typeof blobs.cancel>[0]) => ((uploads.cancelled += 1), blobs.cancel(upload)),
    };
    const registry = testRegistry(await open([registryMigrations]), {
      blobs: counted,
      settings: { ...testSettings, uploads: limits },
    });
    for (let count = 0; count < 3; count++) await startUpload(registry, sessionOf("one"));
    expect(await codesOf(startUpload(registry, sessionOf("one")))).toEqual(["TOO_MANY_REQUESTS"]);
    const push = pushBlob(registry, sessionOf("one"), { digest: digestOf(text), chunks: chunks(text), lengthBytes: 1 });
    expect(await codesOf(push)).toEqual(["TOO_MANY_REQUESTS"]);
    for (let count = 0; count < 2; count++) await startUpload(registry, sessionOf("two"));
    expect(await codesOf(startUpload(registry, sessionOf("two")))).toEqual(["TOO_MANY_REQUESTS"]);
    expect(await codesOf(startUpload(registry, sessionOf("three")))).toEqual(["TOO_MANY_REQUESTS"]);
    // What a refused session had begun in the store is given back.
    expect([uploads.begun - uploads.cancelled, (await countRows(registry))["uploads"]]).toEqual([5, 5]);
  });

  it("shows the operator each of them once, page by page", async () => {
    const registry = testRegistry(await open([registryMigrations]));
    const ids: string[] = [];
    for (let count = 0; count < 7; count++) ids.push(await startUpload(registry, sessionOf("one")));
    const seen: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await listUploads(registry, { after, limit: 3 });
      seen.push(...page.items.map(({ id }) => id));
      after = seen.at(-1);
      if (page.isLast) break;
    }
    expect(seen).toEqual(ids.toSorted());
  });
});
