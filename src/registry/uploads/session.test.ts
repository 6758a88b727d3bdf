import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import {
  chunks,
  codesOf,
  digestOf,
  keysOf,
  problemsOf,
  repositoryName,
  testRegistry,
  testSettings,
} from "../../../test/support/registry.ts";
import type { BlobStore } from "../../platform/blobs/blob-store.ts";
import { memoryBlobStore } from "../../platform/blobs/memory/memory-blob-store.ts";
import { chunksIn, type Piece } from "../../platform/blobs/piece.ts";
import { findBlob } from "../blobs.ts";
import { registryMigrations } from "../migrations.ts";
import type { Registry } from "../registry.ts";
import { appendUpload } from "./append-upload.ts";
import { cancelUpload, cancelUploadById } from "./cancel-upload.ts";
import { finishUpload } from "./finish-upload.ts";
import { listUploads } from "./list-uploads.ts";
import { findUpload, type UploadTarget } from "./session.ts";
import { startUpload } from "./start-upload.ts";

const app = repositoryName("team/app");
const owner = { repository: app, principal: "tester" };

/** A body that gives its parts one by one, each when the test lets it; `broken` ends it as a lost connection does. */
function slowBody() {
  const parts: PromiseWithResolvers<string | undefined>[] = [Promise.withResolvers()];
  const started = Promise.withResolvers<void>();
  async function* read(): AsyncGenerator<Uint8Array> {
    for (let index = 0; ; index++) {
      started.resolve();
      const part = await parts[index]?.promise;
      if (part === undefined) return;
      yield Buffer.from(part);
    }
  }
  const give = (part: string | undefined): void => {
    parts.push(Promise.withResolvers());
    parts.at(-2)?.resolve(part);
  };
  return {
    chunks: read(),
    started: started.promise,
    send: give,
    end: () => give(undefined),
    breakOff() {
      const part = parts.at(-1);
      // It may break before anyone reads on.
      part?.promise.catch(() => undefined);
      part?.reject(new Error("the client went away"));
    },
  };
}

const streamed = (...texts: readonly string[]) => ({
  start: undefined,
  chunks: chunks(...texts),
  lengthBytes: undefined,
});

const finishWith = (registry: Registry, target: UploadTarget, text: string) =>
  finishUpload(registry, target, { start: undefined, digest: digestOf(text), chunks: chunks(), lengthBytes: 0 });

describeEachDatabase("an upload session", (_dialect, open) => {
  async function start(parts: Partial<Registry> = {}) {
    const registry = testRegistry(await open([registryMigrations]), parts);
    const target = { ...owner, id: await startUpload(registry, { ...owner, algorithm: "sha256" }) };
    const hasRow = async () => (await listUploads(registry, { after: undefined, limit: 10 })).items.length > 0;
    return { registry, target, hasRow };
  }
  it("is unknown in another repository and to another principal", async () => {
    const { registry, target } = await start();
    const wrong: readonly UploadTarget[] = [
      { ...target, repository: repositoryName("team/other") },
      { ...target, principal: "somebody else" },
      { ...target, id: crypto.randomUUID() },
    ];
    for (const one of wrong) {
      expect(await codesOf(findUpload(registry, one))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
      expect(await codesOf(appendUpload(registry, one, streamed("x")))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
      expect(await codesOf(finishWith(registry, one, ""))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
      expect(await codesOf(cancelUpload(registry, one))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    }
    expect(await findUpload(registry, target)).toEqual({ repository: app, id: target.id, size: 0 });
  });

  it("has one writer: the other hears where it stands", async () => {
    const { registry, target } = await start();
    const body = slowBody();
    const first = appendUpload(registry, target, { start: 0, chunks: body.chunks, lengthBytes: undefined });
    await body.started;
    const position = { repository: app, id: target.id, size: 0 };
    expect(await problemsOf(appendUpload(registry, target, streamed("two")))).toEqual([
      { code: "BLOB_UPLOAD_OUT_OF_ORDER", position, reason: "another request is writing to this upload" },
    ]);
    expect(await codesOf(finishWith(registry, target, ""))).toEqual(["BLOB_UPLOAD_OUT_OF_ORDER"]);
    body.send("one");
    body.end();
    expect(await first).toEqual({ ...position, size: 3 });
    expect(await appendUpload(registry, target, streamed("two"))).toEqual({ ...position, size: 6 });
    await finishWith(registry, target, "onetwo");
    expect((await findBlob(registry, app, digestOf("onetwo"))).sizeBytes).toBe(6);
  });

  it("of many writers that come at once takes exactly one", async () => {
    const { registry, target } = await start();
    const bodies = Array.from({ length: 12 }, slowBody);
    const appends = bodies.map((body) =>
      codesOf(appendUpload(registry, target, { start: 0, chunks: body.chunks, lengthBytes: undefined })),
    );
    await Promise.race(bodies.map((body) => body.started));
    for (const body of bodies) {
      body.send("bytes");
      body.end();
    }
    const codes = await Promise.all(appends);
    expect(codes.filter((problems) => problems.length === 0).length).toBe(1);
    expect(codes.flat()).toEqual(Array.from({ length: 11 }, () => "BLOB_UPLOAD_OUT_OF_ORDER"));
    expect((await findUpload(registry, target)).size).toBe(5);
  });

  it("goes on only where it stands", async () => {
    const { registry, target } = await start();
    await appendUpload(registry, target, streamed("hello"));
    for (const offset of [0, 4, 6]) {
      const late = { start: offset, chunks: chunks("x"), lengthBytes: 1 };
      expect(await problemsOf(appendUpload(registry, target, late))).toMatchObject([
        { code: "BLOB_UPLOAD_OUT_OF_ORDER", position: { size: 5 } },
      ]);
    }
    expect((await appendUpload(registry, target, { start: 5, chunks: chunks("!"), lengthBytes: 1 })).size).toBe(6);
  });

  it("keeps what came before the connection broke, with its digest", async () => {
    const { registry, target } = await start();
    const body = slowBody();
    const [append] = await Promise.all([
      Promise.allSettled([appendUpload(registry, target, { start: 0, chunks: body.chunks, lengthBytes: 100 })]),
      (async () => {
        await body.started;
        body.send("first ");
        body.breakOff();
      })(),
    ]);
    expect(append[0]).toMatchObject({ status: "rejected", reason: { message: "the client went away" } });
    expect((await findUpload(registry, target)).size).toBe(6);
    await appendUpload(registry, target, { start: 6, chunks: chunks("second"), lengthBytes: 6 });
    await finishWith(registry, target, "first second");
  });

  it("stays as it was when a body is shorter or longer than it said", async () => {
    const { registry, target } = await start();
    await appendUpload(registry, target, streamed("kept"));
    for (const lengthBytes of [2, 4]) {
      const wrong = { start: 4, chunks: chunks("abc"), lengthBytes };
      expect(await codesOf(appendUpload(registry, target, wrong))).toEqual(["SIZE_INVALID"]);
    }
    expect((await findUpload(registry, target)).size).toBe(4);
    await appendUpload(registry, target, { start: 4, chunks: chunks("!"), lengthBytes: 1 });
    await finishWith(registry, target, "kept!");
  });

  it("ends where the blob would be too large, announced or not, and frees what it held", async () => {
    for (const lengthBytes of [7, undefined]) {
      const uploads = { ...testSettings.uploads, maxBytes: 10 };
      const { registry, target, hasRow } = await start({ settings: { ...testSettings, uploads } });
      await appendUpload(registry, target, streamed("1234"));
      const body = { start: 4, chunks: chunks("5678901"), lengthBytes };
      expect(await problemsOf(appendUpload(registry, target, body))).toEqual([{ code: "TOO_LARGE", limitBytes: 10 }]);
      expect(await hasRow()).toBe(false);
    }
  });

  it("may be exactly as large as the limit", async () => {
    const uploads = { ...testSettings.uploads, maxBytes: 10 };
    const { registry, target } = await start({ settings: { ...testSettings, uploads } });
    await appendUpload(registry, target, streamed("1234"));
    await appendUpload(registry, target, streamed("567890"));
    await finishWith(registry, target, "1234567890");
  });

  it("is over when its bytes are lost", async () => {
    const { registry, target, hasRow } = await start();
    await appendUpload(registry, target, streamed("bytes"));
    const lost = { ...registry, blobs: memoryBlobStore() };
    expect(await codesOf(appendUpload(lost, target, streamed("more")))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    expect(await hasRow()).toBe(false);
  });
});

/** The same registry while its database takes no write: what a holder sees that is cut off. */
function severable(registry: Registry) {
  let isCut = false;
  const database: Registry["database"] = {
    ...registry.database,
    write: (work) => (isCut ? Promise.reject(new Error("no database")) : registry.database.write(work)),
  };
  return { registry: { ...registry, database }, cut: (cut: boolean) => (isCut = cut) };
}

/** Shows every piece that a store was given to write. */
function watchedStore() {
  const blobs = memoryBlobStore();
  const written: string[] = [];
  async function* watch(source: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    for await (const piece of source) {
      written.push(Buffer.concat(chunksIn(piece)).toString());
      yield piece;
    }
  }
  const append: BlobStore["append"] = (upload, offset, source) => blobs.append(upload, offset, watch(source));
  return { blobs: { ...blobs, append }, written };
}

describeEachDatabase("the hold on an upload session", (_dialect, open) => {
  const shortHold = { ...testSettings, uploads: { ...testSettings.uploads, holdMs: 600 } };
  async function start(blobs = memoryBlobStore()) {
    const registry = testRegistry(await open([registryMigrations]), { blobs, settings: shortHold });
    const target = { ...owner, id: await startUpload(registry, { ...owner, algorithm: "sha256" }) };
    return { registry, target };
  }
  it("lasts as long as the holder lives, also when nothing comes", async () => {
    const { registry, target } = await start();
    const body = slowBody();
    const append = appendUpload(registry, target, { start: 0, chunks: body.chunks, lengthBytes: undefined });
    await body.started;
    await Bun.sleep(1300);
    expect(await codesOf(appendUpload(registry, target, streamed("x")))).toEqual(["BLOB_UPLOAD_OUT_OF_ORDER"]);
    body.send("slow");
    body.end();
    expect((await append).size).toBe(4);
  });

  it("passes to another writer once the holder is gone", async () => {
    const { registry, target } = await start();
    const claim = { holder: "a server that died", held_until: Date.now() + 1000 };
    await registry.database.write((tx) => tx.updateTable("uploads").set(claim).execute());
    expect(await codesOf(appendUpload(registry, target, streamed("x")))).toEqual(["BLOB_UPLOAD_OUT_OF_ORDER"]);
    await Bun.sleep(1100);
    expect((await appendUpload(registry, target, streamed("taken over"))).size).toBe(10);
  });

  it("ends by itself for a holder that the database does not hear: it writes not one byte more", async () => {
    const { blobs, written } = watchedStore();
    const { registry, target } = await start(blobs);
    const { registry: severed, cut } = severable(registry);
    const body = slowBody();
    const stale = codesOf(appendUpload(severed, target, { start: 0, chunks: body.chunks, lengthBytes: undefined }));
    await body.started;
    // As much as is written at once; what is less waits for more, and is not written either once the hold is over.
    const piece = "stale ".repeat(50_000);
    body.send(piece);
    body.send("and a crumb");
    cut(true);
    await Bun.sleep(800);
    const taking = slowBody();
    const taken = appendUpload(registry, target, { start: 0, chunks: taking.chunks, lengthBytes: undefined });
    await taking.started;
    cut(false);
    body.send("more of it");
    body.end();
    expect(await stale).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    taking.send("fresh");
    taking.end();
    expect((await taken).size).toBe(5);
    expect(written).toEqual([piece, "fresh"]);
    const last = { start: 5, digest: digestOf("fresh"), chunks: chunks(), lengthBytes: 0 };
    await finishUpload(registry, target, last);
    const { key } = await findBlob(registry, app, digestOf("fresh"));
    expect(await keysOf(registry.blobs)).toEqual([key]);
  });

  it("is over when somebody cancels the upload, and what came since goes too", async () => {
    for (const cancel of [
      (registry: Registry, target: UploadTarget) => cancelUpload(registry, target),
      async (registry: Registry, { id }: UploadTarget) => expect(await cancelUploadById(registry, id)).toBe(true),
    ]) {
      const { registry, target } = await start();
      const body = slowBody();
      const last = { start: 0, digest: digestOf("bytes"), chunks: body.chunks, lengthBytes: 5 };
      const finish = codesOf(finishUpload(registry, target, last));
      await body.started;
      await cancel(registry, target);
      body.send("bytes");
      body.end();
      expect(await finish).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
      expect(await keysOf(registry.blobs)).toEqual([]);
      expect(await codesOf(findBlob(registry, app, digestOf("bytes")))).toEqual(["BLOB_UNKNOWN"]);
      expect(await cancelUploadById(registry, target.id)).toBe(false);
    }
  });
});
