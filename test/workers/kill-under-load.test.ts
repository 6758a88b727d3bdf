import { expect, it } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judgeRepository } from "../faults/expected-state.ts";
import { type LoadClient, loadClient } from "../faults/load/load-client.ts";
import { runCheck } from "../faults/run-check.ts";
import { pushBlob } from "../protocol/content.ts";
import { type Registry, registryOf } from "../protocol/registry-client.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { countServing, until, workersOf } from "../support/workers.ts";

const rounds = 5;
const clientsARound = 4;

const sumOf = (clients: readonly LoadClient[]): number =>
  clients.flatMap((client) => [...client.acknowledged.values()]).reduce((sum, count) => sum + count, 0);

/** Kills one of two workers again and again, in the middle of what its clients do; those of the other one go on. */
async function killWorkers(server: TestServer, registry: Registry): Promise<readonly LoadClient[]> {
  const source = { repository: "acme/source", digest: await pushBlob(registry, "acme/source", randomBytes(1000)) };
  const clients: LoadClient[] = [];
  const ended: Promise<void>[] = [];
  // A connection that breaks is no problem from the first kill on; until then it is one.
  const killed = { any: false };
  for (let round = 0; round < rounds; round++) {
    const fresh = Array.from({ length: clientsARound }, (_, at) => loadClient(`acme/w${round}-c${at}`, source));
    clients.push(...fresh);
    ended.push(...fresh.map((client) => client.run(registry, () => killed.any)));
    await until("the new clients are served", () => fresh.every((client) => sumOf([client]) > 0));
    await Bun.sleep(Math.random() * 200);
    const pids = [...workersOf(server).values()];
    killed.any = true;
    process.kill(pids[round % pids.length] ?? 0, "SIGKILL");
    const before = sumOf(clients);
    const later = loadClient(`acme/w${round}-later`, source);
    clients.push(later);
    ended.push(later.run(registry, () => killed.any));
    await until("the server goes on", () => sumOf(clients) >= before + 10);
    await until("two serve again", async () => (await countServing(server)) === 2);
  }
  await server.stop("SIGKILL");
  await Promise.all(ended);
  return clients;
}

it("kill -9 of workers under load loses nothing that was acknowledged", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-worker-kill-"));
  try {
    const data = join(folder, "data");
    const server = await startServer({ data, env: { BERTH_HTTP_WORKERS: "2" } });
    const clients = await killWorkers(server, registryOf(server));
    expect(server.log().filter(({ event }) => event === "worker died").length).toBeGreaterThanOrEqual(rounds);
    expect(server.requests().filter(({ status = 0 }) => status >= 500)).toEqual([]);
    await using again = await startServer({ data });
    const problems: string[] = [];
    for (const client of clients) {
      problems.push(...client.problems());
      problems.push(...(await judgeRepository(registryOf(again), client.repository, client.between())));
    }
    expect(problems).toEqual([]);
    expect(sumOf(clients)).toBeGreaterThan(rounds * clientsARound);
    await again.stop();
    const { findings } = await runCheck(data);
    expect(findings.filter(({ kind, finished }) => !(kind === "orphan-file" && finished === false))).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 240_000);
