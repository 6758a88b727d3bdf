import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { digestOf, jsonBytes, mediaTypes, pushBlob, pushManifest } from "../protocol/content.ts";
import { type Answer, problemsOf, type Registry, registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { imageOf, repository } from "./faulty-operations.ts";
import { type FaultyServer, missingForFaults, startFaulty } from "./shim/faulty-server.ts";

const mostCalls = 2000;

interface Read {
  readonly name: string;
  readonly method?: "GET" | "HEAD";
  readonly target: () => string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isRight: (answer: Answer) => boolean;
}

const blob = (bytes: Buffer) => () => `/v2/${repository}/blobs/${digestOf(bytes)}`;
const manifest = (tag: number) => () => `/v2/${repository}/manifests/v${String(tag)}`;

/** What another process commits empties all that the server has in memory: it reads the database anew. */
function forget(data: string): void {
  using database = new Database(join(data, "berth.sqlite"));
  for (const statement of ["PRAGMA busy_timeout = 10000", "PRAGMA user_version = 0"]) database.run(statement);
}

requirement("a disk that fails to be read", missingForFaults(), () => {
  let faulty: FaultyServer | undefined;
  const [small, large] = [randomBytes(5000), randomBytes(3_000_000)];
  const images: Buffer[] = [];
  const running = (): FaultyServer => {
    if (faulty === undefined) throw new Error("the server runs only while tests run");
    return faulty;
  };
  const registry = (): Registry => registryOf(running().server);
  const isPart = ({ status, bytes }: Answer): boolean => status === 206 && bytes.equals(large.subarray(5, 2_000_006));

  const reads: readonly Read[] = [
    {
      name: "a small blob",
      target: blob(small),
      isRight: ({ status, bytes }) => status === 200 && bytes.equals(small),
    },
    {
      name: "a large blob",
      target: blob(large),
      isRight: ({ status, bytes }) => status === 200 && bytes.equals(large),
    },
    { name: "a range", target: blob(large), headers: { Range: "bytes=5-2000005" }, isRight: isPart },
    {
      name: "several ranges",
      target: blob(large),
      headers: { Range: "bytes=0-9,1000-1999999,2500000-2999999" },
      isRight: ({ status, bytes }) => status === 206 && bytes.includes(large.subarray(2_500_000)),
    },
    {
      name: "a HEAD of a blob",
      method: "HEAD",
      target: blob(small),
      isRight: ({ status, header }) => status === 200 && header("content-length") === "5000",
    },
    {
      name: "a manifest",
      target: manifest(1),
      isRight: ({ status, bytes }) => status === 200 && digestOf(bytes) === digestOf(images[1] ?? ""),
    },
    {
      name: "the list of tags",
      target: () => `/v2/${repository}/tags/list`,
      isRight: ({ status, json }) =>
        status === 200 && Bun.deepEquals((json() as { tags: unknown }).tags, ["v0", "v1", "v2"]),
    },
  ];
  const readOnce = ({ method = "GET", target, headers = {} }: Read): Promise<Answer | undefined> =>
    registry()
      .send(method, target(), { headers })
      // The client of the tests takes nothing that is cut short.
      .catch(() => undefined);

  beforeAll(async () => {
    faulty = await startFaulty({ env: { BERTH_COLLECT_INTERVAL_SECONDS: "86400" } });
    await pushBlob(registry(), repository, small);
    await pushBlob(registry(), repository, large);
    for (let tag = 0; tag < 3; tag++) {
      const body = JSON.parse(imageOf(small).toString()) as object;
      const bytes = jsonBytes({ ...body, annotations: { long: randomBytes(1_000_000).toString("base64") } });
      images.push(bytes);
      await pushManifest(registry(), { repository, bytes, mediaType: mediaTypes.image, tag: `v${String(tag)}` });
    }
  }, 60_000);
  afterAll(async () => faulty?.[Symbol.asyncDispose](), 60_000);

  /** Reads that failed, by how the client learned of it. */
  const seen = { refused: 0, broken: 0 };
  for (const read of reads) {
    test(`${read.name}, EIO at the nth read: whole, refused, or a broken connection; and right again after`, async () => {
      let failures = 0;
      // A long manifest is hundreds of pages: of those in its middle, some will do.
      for (let call = 1; ; call += call < 12 ? 1 : 97) {
        expect(call).toBeLessThan(mostCalls);
        forget(running().server.data);
        await running().arm({ call, error: "EIO", lasts: "once", calls: "reads" });
        const answer = await readOnce(read);
        const { failed, first } = await running().disarm();
        failures += failed;
        const where = `${read.name}, call ${String(call)}, ${first}: ${String(answer?.status)}`;
        if (answer === undefined) seen.broken += 1;
        else if (answer.status === 503) {
          seen.refused += 1;
          if (read.method !== "HEAD") expect(problemsOf(answer)[0]?.code).toBe("UNAVAILABLE");
        } else expect(`${where} ${String(read.isRight(answer))}`).toBe(`${where} true`);
        const after = await readOnce(read);
        expect(after !== undefined && read.isRight(after)).toBe(true);
        if (failed === 0) break;
      }
      // Else nothing was tested: the bytes came from somewhere else than the disk.
      expect(failures).toBeGreaterThan(0);
    }, 120_000);
  }

  test("the client is told before the first byte, and cut off after it; the server has not crashed", async () => {
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.broken).toBeGreaterThan(0);
    await running().server.logged();
    expect(
      running()
        .server.log()
        .map(({ event }) => event),
    ).not.toContain("crashed");
    expect((await registry().send("GET", "/healthz")).status).toBe(200);
  });
});
