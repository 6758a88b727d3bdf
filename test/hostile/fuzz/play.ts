import { adminBasic, bearerFor } from "../../protocol/bearer.ts";
import { pushBlob, pushImage, startUpload } from "../../protocol/content.ts";
import type { ServedRegistry } from "../../protocol/registry-client.ts";
import { openSocket } from "../wire.ts";
import { seeded } from "./random.ts";
import { randomRequest, type World } from "./requests.ts";

const lanes = 16;
const answerMs = 5000;
/** Wrong passwords among the requests shut their network out, which must not be the tests' own. */
const fuzzAddress = "127.0.0.2";
/** Whatever is begun is never finished, and there is room for much of it. */
export const fuzzEnv = {
  BERTH_UPLOADS_IDLE_SECONDS: "15",
  BERTH_UPLOADS_MAX_SESSIONS: "1000000",
  BERTH_UPLOADS_MAX_SESSIONS_PER_PRINCIPAL: "1000000",
  BERTH_COLLECT_INTERVAL_SECONDS: "1",
};

export async function makeWorld(registry: ServedRegistry): Promise<World> {
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

/** What the parser says to what is no request, also behind an answer to one that was; without a body or an id. */
const parsersEnd = /HTTP\/1\.1 505 [A-Za-z ]+\r\nConnection: close\r\n\r\n$/;

/** Why this is no answer to give. */
function faultOf({ text: received, isSilent }: Outcome): string | undefined {
  if (isSilent) return `no answer within ${String(answerMs)} ms`;
  const text = received.replace(parsersEnd, "");
  if (text === "") return undefined;
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r]*\r\n/g)].map(([, status]) => Number(status));
  if (statuses.some((status) => status >= 500)) return "a server error";
  if (statuses.length === 0) return "no HTTP";
  if (/<html|<!doctype|\n\s+at .*:\d+:\d+|node_modules|\.ts:\d+/i.test(text)) return "a page or a stack";
  if (/^set-cookie:/im.test(text)) return "a header of the client's making";
  return undefined;
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString("latin1").slice(0, 1500));

/** Sends what the seed makes until that time (`performance.now`). @returns how many */
export async function play(world: World, seed: number, untilMs: number): Promise<number> {
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
