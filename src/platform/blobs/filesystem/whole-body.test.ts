import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chunksIn, type Piece } from "../piece.ts";
import { beginBody, refusalOf, writeNew } from "./whole-body.ts";

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "berth-whole-body-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function* bytes(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function* together(): AsyncGenerator<Piece> {
  yield ["on", "e"].map((text) => Buffer.from(text));
}

async function* breaking(): AsyncGenerator<Uint8Array> {
  yield* bytes("one");
  throw new Error("the sender went away");
}

const textOf = (piece: Piece): string => Buffer.concat(chunksIn(piece)).toString();
const textsOf = async (pieces: AsyncIterable<Piece>): Promise<readonly string[]> =>
  (await Array.fromAsync(pieces)).map(textOf);

test("a body of one piece is told from all others, of which nothing is lost", async () => {
  expect(await beginBody(bytes("one"))).toEqual({ kind: "whole", bytes: Buffer.from("one") });
  expect(await beginBody(together())).toEqual({ kind: "whole", bytes: Buffer.from("one") });
  for (const texts of [[], ["one", "two"], ["one", "two", "three"]]) {
    const body = await beginBody(bytes(...texts));
    expect(body.kind === "longer" && (await textsOf(body.pieces))).toEqual(texts);
  }
});

test("a piece does not wait for the one behind it, which may take long, and nor does who gives up", async () => {
  const { promise: never } = Promise.withResolvers<void>();
  async function* stalling(): AsyncGenerator<Uint8Array> {
    yield* bytes("one");
    await never;
  }
  const body = await beginBody(stalling());
  if (body.kind !== "longer") throw new Error("the body has not ended");
  for await (const piece of body.pieces) {
    expect(textOf(piece)).toBe("one");
    break;
  }
  body.drop();
});

test("a body that breaks is no whole one", async () => {
  const [outcome] = await Promise.allSettled([beginBody(breaking())]);
  expect(outcome.status).toBe("rejected");
});

test("who gives up ends the source", async () => {
  let hasEnded = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes("one", "two", "three");
    } finally {
      hasEnded = true;
    }
  }
  const body = await beginBody(source());
  if (body.kind !== "longer") throw new Error("the body has not ended");
  body.drop();
  await Bun.sleep(0);
  expect(hasEnded).toBe(true);
});

test("a file is made once, with its mode, and what it is refused for is told from what fails", async () => {
  const path = join(folder, "file");
  expect(await refusalOf(writeNew(path, Buffer.from("first"), 0o600))).toBeUndefined();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await refusalOf(writeNew(path, Buffer.from("second"), 0o600))).toMatchObject({ code: "EEXIST" });
  expect(await readFile(path, "utf8")).toBe("first");
  const failure = Object.assign(new Error("the disk failed"), { code: "EIO" });
  expect(await Promise.allSettled([refusalOf(Promise.reject(failure))])).toEqual([
    { status: "rejected", reason: failure },
  ]);
});
