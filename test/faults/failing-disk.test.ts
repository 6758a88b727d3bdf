import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describeBytes, digestOf, jsonBytes, mediaTypes, pushBlob, pushManifest } from "../protocol/content.ts";
import { type Answer, problemsOf, type Registry, registryOf, withQuery } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { judgeRepository, nothingYet, type RepositoryState } from "./expected-state.ts";
import { type Fault, type FaultyServer, missingForFaults, startFaulty } from "./shim/faulty-server.ts";

const repository = "acme/faults";
const mostCalls = 200;

/** Quick enough for a test to see that nothing is left behind. */
const eager = { BERTH_COLLECT_INTERVAL_SECONDS: "1", BERTH_UPLOADS_IDLE_SECONDS: "1" };

/** What a client asks for, request by request, until one of them is refused. */
interface Operation {
  readonly name: string;
  /** Ends with the last answer. */
  readonly run: (registry: Registry, known: Known) => Promise<Answer>;
  /** What is sure once the last answer is a success. */
  readonly after: (known: Known, state: RepositoryState) => RepositoryState;
}

/** Made anew for each attempt. */
interface Known {
  readonly config: Buffer;
  readonly blob: Buffer;
  readonly image: Buffer;
}

const operations: readonly Operation[] = [
  {
    name: "blob push",
    async run(registry, { blob }) {
      const begun = await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" });
      const location = begun.header("location");
      if (begun.status !== 202 || location === undefined) return begun;
      return registry.send("PUT", withQuery(location, `digest=${digestOf(blob)}`), { body: blob });
    },
    after: ({ blob }, state) => ({ ...state, blobs: new Set([...state.blobs, digestOf(blob)]) }),
  },
  {
    name: "manifest push and tag move",
    run: (registry, { image }) =>
      registry.send("PUT", `/v2/${repository}/manifests/moving`, {
        headers: { "Content-Type": mediaTypes.image },
        body: image,
      }),
    after: ({ image }, state) => ({
      ...state,
      manifests: new Set([...state.manifests, digestOf(image)]),
      tags: new Map([...state.tags, ["moving", digestOf(image)]]),
    }),
  },
  {
    name: "delete",
    async run(registry, { image }) {
      const bytes = jsonBytes({ ...(JSON.parse(image.toString()) as object), annotations: { kept: "no" } });
      const headers = { "Content-Type": mediaTypes.image };
      const path = `/v2/${repository}/manifests/${digestOf(bytes)}`;
      const put = await registry.send("PUT", path, { headers, body: bytes });
      return put.status === 201 ? registry.send("DELETE", path) : put;
    },
    after: (_, state) => state,
  },
];

const faults: readonly Omit<Fault, "call">[] = [
  { error: "ENOSPC", stays: true },
  { error: "EROFS", stays: true },
  { error: "EIO", stays: true },
  { error: "EIO", stays: false },
];

const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300;

requirement("a failing disk", missingForFaults(), () => {
  let faulty: FaultyServer | undefined;
  let state = nothingYet;
  let kept = "";
  const config = randomBytes(100);
  const running = (): FaultyServer => {
    if (faulty === undefined) throw new Error("the server runs only while tests run");
    return faulty;
  };
  const registry = (): Registry => registryOf(running().server);
  const imageOf = (): Buffer =>
    jsonBytes({
      schemaVersion: 2,
      mediaType: mediaTypes.image,
      config: describeBytes(mediaTypes.config, config),
      layers: [],
      annotations: { id: randomBytes(8).toString("hex") },
    });

  beforeAll(async () => {
    faulty = await startFaulty({
      env: { BERTH_COLLECT_INTERVAL_SECONDS: "86400", BERTH_JOURNAL_INTERVAL_SECONDS: "3600" },
    });
    await pushBlob(registry(), repository, config);
    const image = imageOf();
    await pushManifest(registry(), { repository, bytes: image, mediaType: mediaTypes.image, tag: "kept" });
    kept = digestOf(image);
    state = {
      ...nothingYet,
      blobs: new Set([digestOf(config)]),
      manifests: new Set([kept]),
      tags: new Map([["kept", kept]]),
    };
  }, 60_000);
  afterAll(async () => faulty?.[Symbol.asyncDispose]());

  for (const fault of faults) {
    const what = `${fault.error} ${fault.stays ? "from the nth call on" : "at the nth call"}`;
    for (const operation of operations) {
      test(`${operation.name}, ${what}: refused with what to do, or done; reads go on, and it recovers`, async () => {
        const statuses = new Set<number>();
        for (let call = 1; ; call++) {
          expect(call).toBeLessThan(mostCalls);
          const known = { config, blob: randomBytes(30_000), image: imageOf() };
          await running().arm({ ...fault, call });
          const answer = await operation.run(registry(), known);
          await expectReads(registry(), kept);
          const { failed, first } = await running().disarm();
          if (isSuccess(answer)) state = operation.after(known, state);
          else expectRefusal(answer, `call ${String(call)}, ${first}`);
          if (failed === 0) {
            expect(isSuccess(answer)).toBe(true);
            break;
          }
          statuses.add(answer.status);
          await succeedSoon(() => operation.run(registry(), known));
          state = operation.after(known, state);
        }
        // SQLite tells of a full disk as one, except where it learns of it from a sync.
        const expected = fault.error === "ENOSPC" ? [503, 507] : [503];
        expect([...statuses].filter((status) => status >= 500).toSorted((a, b) => a - b)).toEqual(expected);
      }, 120_000);
    }
  }

  test("after all that, and kill -9, everything acknowledged is there and nothing else is left", async () => {
    await running().server.stop("SIGKILL");
    await using server = await startServer({ data: running().server.data, env: eager });
    expect(await judgeRepository(registryOf(server), repository, { before: state, after: state })).toEqual([]);
    const deadline = Date.now() + 50_000;
    while ((await strayFiles(server.data)).length > 0 && Date.now() < deadline) await Bun.sleep(200);
    expect(await strayFiles(server.data)).toEqual([]);
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
  const manifest = await registry.send("GET", `/v2/${repository}/manifests/kept`);
  expect([manifest.status, digestOf(manifest.bytes)]).toEqual([200, kept]);
  const { config } = manifest.json() as { config: { digest: string } };
  const blob = await registry.send("GET", `/v2/${repository}/blobs/${config.digest}`);
  expect([blob.status, digestOf(blob.bytes)]).toEqual([200, config.digest]);
}

/** Nobody restarts it: the store finds out by itself that the disk takes writes again. */
async function succeedSoon(run: () => Promise<Answer>): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const answer = await run();
    if (isSuccess(answer)) return;
    if (Date.now() > deadline) throw new Error(`still ${String(answer.status)} ${answer.text}`);
    await Bun.sleep(100);
  }
}

/** Files of the store that no row of the database knows, and uploads that are over. */
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
