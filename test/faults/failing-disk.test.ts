import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, mediaTypes, pushBlob, pushManifest } from "../protocol/content.ts";
import { type Answer, problemsOf, type Registry, registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { judgeRepository, nothingYet } from "./expected-state.ts";
import {
  imageOf,
  isSuccess,
  type Known,
  type Operation,
  operations,
  repository,
  sourceRepository,
} from "./faulty-operations.ts";
import { runCheck } from "./run-check.ts";
import { type Fault, type FaultyServer, missingForFaults, startFaulty } from "./shim/faulty-server.ts";

const mostCalls = 300;

/** Quick enough for a test to see that nothing is left behind. */
const eager = { BERTH_COLLECT_INTERVAL_SECONDS: "1", BERTH_UPLOADS_IDLE_SECONDS: "1" };

const { put, post, chunks, manifest, remove, mount } = operations;

/** What the disk does, and who meets it at each of his calls in turn. */
const matrix: readonly (readonly [Omit<Fault, "call">, readonly Operation[]])[] = [
  [{ error: "EIO", lasts: "once" }, [put, post, chunks, manifest, remove, mount]],
  [{ error: "EIO", lasts: "on" }, [put, manifest]],
  [{ error: "ENOSPC", lasts: "on" }, [chunks, manifest]],
  [{ error: "EROFS", lasts: "on" }, [post, manifest]],
  [{ error: "EDQUOT", lasts: "on" }, [put, manifest]],
  [{ error: "EMFILE", lasts: "once" }, [put]],
];

/** Where SQLite does not hand on why a file failed, its failure is told as one of the disk. */
const statusesOf = ({ error }: Omit<Fault, "call">): readonly number[] =>
  error === "ENOSPC" || error === "EDQUOT" ? [503, 507] : [503];

requirement("a failing disk", missingForFaults(), () => {
  let faulty: FaultyServer | undefined;
  let state = nothingYet;
  let kept = "";
  const [config, source] = [randomBytes(100), randomBytes(200)];
  const running = (): FaultyServer => {
    if (faulty === undefined) throw new Error("the server runs only while tests run");
    return faulty;
  };
  const registry = (): Registry => registryOf(running().server);
  const known = (): Known => ({ config, blob: randomBytes(30_000), image: imageOf(config), source: digestOf(source) });

  beforeAll(async () => {
    faulty = await startFaulty({
      env: { BERTH_COLLECT_INTERVAL_SECONDS: "86400" },
    });
    await pushBlob(registry(), sourceRepository, source);
    await pushBlob(registry(), repository, config);
    const image = imageOf(config);
    await pushManifest(registry(), { repository, bytes: image, mediaType: mediaTypes.image, tag: "kept" });
    kept = digestOf(image);
    state = {
      ...nothingYet,
      blobs: new Set([digestOf(config)]),
      manifests: new Set([kept]),
      tags: new Map([["kept", kept]]),
    };
  }, 60_000);
  afterAll(async () => faulty?.[Symbol.asyncDispose](), 60_000);

  for (const [fault, some] of matrix) {
    const what = `${fault.error} ${fault.lasts === "on" ? "from the nth call on" : "at the nth call"}`;
    for (const operation of some) {
      test(`${operation.name}, ${what}: refused with what to do, or done; reads go on, and it recovers`, async () => {
        const statuses = new Set<number>();
        for (let call = 1; ; call++) {
          expect(call).toBeLessThan(mostCalls);
          const attempt = known();
          await running().arm({ ...fault, call });
          const answer = await operation.run(registry(), attempt);
          await expectReads(registry(), kept);
          const { failed, first } = await running().disarm();
          if (isSuccess(answer)) state = operation.after(attempt, state);
          else expectRefusal(answer, `call ${String(call)}, ${first}`);
          if (failed === 0) {
            expect(isSuccess(answer)).toBe(true);
            break;
          }
          statuses.add(answer.status);
          await succeedSoon(() => operation.run(registry(), attempt));
          state = operation.after(attempt, state);
        }
        const refusals = [...statuses].filter((status) => status >= 500);
        expect(refusals).not.toEqual([]);
        expect(statusesOf(fault)).toEqual(expect.arrayContaining(refusals));
      }, 120_000);
    }
  }

  test("after all that, and kill -9, everything acknowledged is there and nothing else is left", async () => {
    await running().server.stop("SIGKILL");
    await using server = await startServer({ data: running().server.data, env: eager });
    expect(await judgeRepository(registryOf(server), repository, { before: state, after: state })).toEqual([]);
    const deadline = Date.now() + 60_000;
    while ((await strayFiles(server.data)).length > 0 && Date.now() < deadline) await Bun.sleep(200);
    expect(await strayFiles(server.data)).toEqual([]);
    expect((await runCheck(server.data)).findings).toEqual([]);
  }, 120_000);
});

/** 507 or 503, in the protocol's form, with a sentence that an operator can act on. */
function expectRefusal(answer: Answer, where: string): void {
  const told = `${where}: ${String(answer.status)} ${answer.text}`;
  expect(told).toMatch(/: (?:507|503) /);
  const [problem] = problemsOf(answer);
  expect(`${told} ${problem?.code ?? ""}`).toEndWith(" UNAVAILABLE");
  expect(problem?.message ?? "").toMatch(/no room|read-only|fails/);
}

async function expectReads(registry: Registry, kept: string): Promise<void> {
  const image = await registry.send("GET", `/v2/${repository}/manifests/kept`);
  expect([image.status, digestOf(image.bytes)]).toEqual([200, kept]);
  const { config } = image.json() as { config: { digest: string } };
  const blob = await registry.send("GET", `/v2/${repository}/blobs/${config.digest}`);
  expect([blob.status, digestOf(blob.bytes)]).toEqual([200, config.digest]);
}

/** Nobody restarts it: the store finds out by itself that the disk takes writes again. */
async function succeedSoon(run: () => Promise<Answer>): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await run();
    if (isSuccess(answer)) return;
    if (Date.now() > deadline) throw new Error(`still ${String(answer.status)} ${answer.text}`);
    await Bun.sleep(100);
  }
}

/** Files of the store that no row of the database knows or that are about to go, and uploads that are over. */
async function strayFiles(data: string): Promise<readonly string[]> {
  const database = new Database(join(data, "berth.sqlite"), { readonly: true });
  const keys = database.query("select blob_key from blobs union all select blob_key from doomed_blobs").values().flat();
  database.close();
  const finished = (await readdir(join(data, "blobs"), { recursive: true })).filter((name) => name.length > 2);
  return [
    ...(await readdir(join(data, "uploads"))),
    ...finished.filter((name) => !keys.includes(name.slice(name.indexOf("/") + 1))),
    ...(await readdir(data)).filter((name) => name === "sync-trial"),
  ];
}
