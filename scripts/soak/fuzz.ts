import { registryOf, type ServedRegistry } from "../../test/protocol/registry-client.ts";
import { openFiles, processListeningOn, residentBytes } from "../../test/protocol/server-process.ts";
import { fuzzEnv, makeWorld, play } from "../../test/hostile/fuzz/play.ts";
import { startServer } from "../../test/support/server.ts";

const roundMs = 5000;
/** Caches fill and the heap finds its size; what grows after that is a leak. */
const warmUpRounds = 24;
const mostGrowthBytes = 96 << 20;
const mostGrowthFiles = 8;

/** Requests at random for so long, from seeds that are told. @returns whether nothing was found */
export async function soakFuzz(minutes: number): Promise<boolean> {
  await using server = await startServer({ env: fuzzEnv });
  const registry: ServedRegistry = { ...registryOf(server), server: () => server };
  const pid = await processListeningOn(server.host);
  const first = Math.floor(Math.random() * 2 ** 32);
  const until = performance.now() + minutes * 60_000;
  let [requests, bugs, warmBytes, warmFiles] = [0, 0, 0, 0];
  for (let round = 1; performance.now() < until; round++) {
    const seed = (first + round * 7919) >>> 0;
    requests += await play(await makeWorld(registry), seed, performance.now() + roundMs);
    // What was sent last may still be on its way out.
    await Bun.sleep(1000);
    const [bytes, files] = [await residentBytes(pid), await openFiles(pid)];
    for (const bug of server.log().filter(({ level }) => level === "error")) {
      bugs += 1;
      console.log(`LOGGED  seed ${seed}: ${JSON.stringify(bug)}`);
    }
    server.forgetLog();
    if (round === warmUpRounds) [warmBytes, warmFiles] = [bytes, files];
    if (round % 12 === 0) {
      console.log(`${requests} requests, seed ${seed}: ${Math.round(bytes / 2 ** 20)} MiB, ${files} open files`);
    }
    const isWarm = round > warmUpRounds;
    const hasGrown = bytes - warmBytes > mostGrowthBytes || files - warmFiles > mostGrowthFiles;
    if (isWarm && hasGrown) {
      console.log(`GROWN  by ${Math.round((bytes - warmBytes) / 2 ** 20)} MiB and ${files - warmFiles} open files`);
      return false;
    }
  }
  console.log(`${requests} requests in ${minutes} min, ${bugs} errors in the log`);
  return bugs === 0;
}
