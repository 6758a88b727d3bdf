import { expect, test } from "bun:test";
import { adminBasic, bearerFor } from "../protocol/bearer.ts";
import { pushBlob, pushImage, startUpload } from "../protocol/content.ts";
import { type ServedRegistry, useRegistry } from "../protocol/registry-client.ts";
import { missingProcessTable, openFiles, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { seeded } from "./fuzz/random.ts";
import { randomRequest, type World } from "./fuzz/requests.ts";
import { openSocket } from "./wire.ts";

const seeds = [1, 20_260, 4_294_967_291];
/** All seeds together. Longer runs go on to seeds of their own. */
const givenSeconds = Number(process.env["BERTH_TEST_FUZZ_SECONDS"] ?? "");
const seconds = givenSeconds > 0 ? givenSeconds : 15;
const lanes = 16;
const answerMs = 5000;
/** Wrong passwords among the requests shut their network out, which must not be the tests' own. */
const fuzzAddress = "127.0.0.2";
/** Whatever is begun is never finished, and there is room for much of it. */
const env = {
  BERTH_UPLOADS_IDLE_SECONDS: "15",
  BERTH_UPLOADS_MAX_SESSIONS: "1000000",
  BERTH_UPLOADS_MAX_SESSIONS_PER_PRINCIPAL: "1000000",
  BERTH_COLLECT_INTERVAL_SECONDS: "1",
};

async function makeWorld(registry: ServedRegistry): Promise<World> {
  const repositories = ["fuzz/one", "fuzz/two", "library/three"] as const;
  const digests: string[] = [];
  const locations: string[] = [];
  for (const repository of repositories) {
    const image = await pushImage(registry, repository, { tag: "v1" });
    const blob = await pushBlob(registry, repository, Buffer.from(`content of ${repository}`));
    digests.push(image.digest, image.config.digest, blob);
    locations.push(await startUpload(registry, repository));
  }
  const scope = repositories.map((repository) => `repository:${repository}:pull,push,delete`).join(" ");
  return {
    host: registry.server().host,
    authorizations: [adminBasic(registry), await bearerFor(registry, scope)],
    repositories,
    digests: digests as [string, ...string[]],
    locations: locations as [string, ...string[]],
  };
}

interface Outcome {
  readonly text: string;
  readonly isSilent: boolean;
}

/** A server that is silent for so long waits for more of the request. */
const moreMs = 400;

/** Sends a request; where the server waits for more of it, it hears that there is none. */
async function outcomeOf(host: string, bytes: Buffer): Promise<Outcome> {
  const socket = await openSocket(host, fuzzAddress);
  const received: Buffer[] = [];
  const end = Promise.withResolvers<boolean>();
  const noMore = setTimeout(() => socket.end(), moreMs);
  const timer = setTimeout(() => end.resolve(true), answerMs);
  socket.on("data", (data: Buffer) => received.push(data));
  socket.on("close", () => end.resolve(false));
  socket.resume();
  socket.write(bytes);
  const isSilent = await end.promise;
  clearTimeout(noMore);
  clearTimeout(timer);
  socket.destroy();
  return { text: Buffer.concat(received).toString("latin1"), isSilent };
}

/** Why this is no answer to give; the parser alone may say 505, and does it without a body or an id. */
function faultOf({ text, isSilent }: Outcome): string | undefined {
  if (isSilent) return `no answer within ${String(answerMs)} ms`;
  if (text === "") return undefined;
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r]*\r\n/g)].map(([, status]) => Number(status));
  const isParsers = /^HTTP\/1\.1 505 [A-Za-z ]+\r\nConnection: close\r\n\r\n$/.test(text);
  if (!isParsers && statuses.some((status) => status >= 500)) return "a server error";
  if (statuses.length === 0) return "no HTTP";
  if (/<html|<!doctype|\n\s+at .*:\d+:\d+|node_modules|\.ts:\d+/i.test(text)) return "a page or a stack";
  if (/^set-cookie:/im.test(text)) return "a header of the client's making";
  return undefined;
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString("latin1").slice(0, 1500));

async function play(world: World, seed: number, untilMs: number): Promise<number> {
  const random = seeded(seed);
  let played = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const bytes = randomRequest(random, world);
      played += 1;
      const outcome = await outcomeOf(world.host, bytes);
      const fault = faultOf(outcome);
      if (fault !== undefined) {
        throw new Error(`${fault}: seed ${String(seed)}\n${shown(bytes)}\n${outcome.text.slice(0, 500)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return played;
}

async function expectWorking(registry: ServedRegistry): Promise<void> {
  const image = await pushImage(registry, "fuzz/after", { tag: "v1" });
  const pulled = await registry.send("GET", "/v2/fuzz/after/manifests/v1");
  expect(pulled.status).toBe(200);
  expect(pulled.bytes.equals(image.bytes)).toBe(true);
  for (const { digest, size } of [image.config, ...image.layers]) {
    const blob = await registry.send("GET", `/v2/fuzz/after/blobs/${digest}`);
    expect([blob.status, blob.bytes.length]).toEqual([200, size]);
  }
}

requirement("requests of all kinds", missingProcessTable, () => {
  const registry = useRegistry({ env });

  for (const [at, seed] of seeds.entries()) {
    test(
      `seed ${String(seed)}: none is a server error, and the server works on`,
      async () => {
        const endMs = performance.now() + (seconds * 1000) / seeds.length;
        let played = 0;
        for (let round = 0; performance.now() < endMs; round += 1) {
          const roundEndMs = Math.min(endMs, performance.now() + 5000);
          // Anew each time: tokens and uploads run out.
          played += await play(await makeWorld(registry), seed + round * 7919 + at, roundEndMs);
        }
        expect(played).toBeGreaterThan(100);
        await registry.server().logged();
        // Requests that are all refused at the door would try little.
        const statuses = new Set(
          registry
            .server()
            .requests()
            .map(({ status }) => status),
        );
        for (const status of [200, 201, 202, 400, 401, 404, 405]) expect(statuses).toContain(status);
        expect(
          registry
            .server()
            .log()
            .filter(({ level }) => level === "error"),
        ).toEqual([]);
        await expectWorking(registry);
      },
      (seconds + 30) * 1000,
    );
  }

  test("leave the process the memory and the open files that it had", async () => {
    const { host } = registry.server();
    const pid = await processListeningOn(host);
    const world = await makeWorld(registry);
    const [bytesBefore, filesBefore] = [await residentBytes(pid), await openFiles(pid)];
    await play(world, 77, performance.now() + 3000);
    for (let waited = 0; (await openFiles(pid)) > filesBefore + 4 && waited < 5000; waited += 100) await Bun.sleep(100);
    expect(await openFiles(pid)).toBeLessThanOrEqual(filesBefore + 4);
    expect((await residentBytes(pid)) - bytesBefore).toBeLessThan(64 << 20);
  }, 30_000);
});
