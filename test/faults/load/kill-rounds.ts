import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "../../protocol/content.ts";
import { type Registry, registryOf } from "../../protocol/registry-client.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import { workersOf } from "../../support/workers.ts";
import { judgeRepository } from "../expected-state.ts";
import { runCheck } from "../run-check.ts";
import type { Source } from "./load-action.ts";
import { type LoadClient, loadClient } from "./load-client.ts";
import { killWhileStarting } from "./kill-while-starting.ts";

export interface KillPlan {
  /** At least so many rounds, and as many more as fit into the seconds. */
  readonly rounds: number;
  readonly seconds: number;
  /** Processes of the server; of several, one or all are killed. */
  readonly workers?: number;
  readonly onRound?: (round: number, acknowledged: number) => void;
  /** Damages the data folder of a killed server: what a test of the judge does. */
  readonly damage?: (data: string) => Promise<void>;
}

export interface KillOutcome {
  readonly rounds: number;
  /** Changes that were acknowledged, by kind. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Requests that a kill cut off. */
  readonly cutOff: number;
  /** Starts that were killed before the server listened, behind the kill of a round. */
  readonly cutStarts: number;
  readonly problems: readonly string[];
}

const clientsAtOnce = 4;
const source: Source & { readonly bytes: Buffer } = (() => {
  const bytes = randomBytes(1000);
  return { repository: "acme/source", digest: digestOf(bytes), bytes };
})();

/** Uploads whose name a kill kept from their client stay open; there is room for them, and in time they expire. */
const env = {
  BERTH_UPLOADS_MAX_SESSIONS: "1000000",
  BERTH_UPLOADS_MAX_SESSIONS_PER_PRINCIPAL: "1000000",
  BERTH_UPLOADS_IDLE_SECONDS: "600",
  BERTH_COLLECT_INTERVAL_SECONDS: "1",
};

/** Kills a server under load at a random moment, starts it again and reads all that it had acknowledged; many times. */
export async function killRounds(plan: KillPlan): Promise<KillOutcome> {
  const folder = await mkdtemp(join(tmpdir(), "berth-kill-"));
  const data = join(folder, "data");
  const until = performance.now() + plan.seconds * 1000;
  const acknowledged = new Map<string, number>();
  const problems: string[] = [];
  const older: LoadClient[] = [];
  let [cutOff, cutStarts, round] = [0, 0, 0];
  try {
    while (problems.length === 0 && (round < plan.rounds || performance.now() < until)) {
      round += 1;
      const clients = await killOnce({ data, round, workers: plan.workers ?? 1 });
      if (round % 4 === 0) cutStarts += await killWhileStarting(data, env);
      await plan.damage?.(data);
      cutOff += clients.filter((client) => client.between().before !== client.between().after).length;
      problems.push(...(await judge(data, [...clients, ...some(older)])).map((what) => `round ${round}: ${what}`));
      older.push(...clients);
      for (const [kind, count] of clients.flatMap((client) => [...client.acknowledged])) {
        acknowledged.set(kind, (acknowledged.get(kind) ?? 0) + count);
      }
      plan.onRound?.(
        round,
        acknowledged.values().reduce((sum, count) => sum + count, 0),
      );
    }
    if (plan.damage === undefined) problems.push(...(await checkFolder(data)));
    return { rounds: round, acknowledged, cutOff, cutStarts, problems };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What earlier rounds left has to stay as well; a few of them each time. */
const some = (older: readonly LoadClient[]): readonly LoadClient[] =>
  older.length < 2
    ? older
    : [older[0], older[Math.floor(Math.random() * older.length)]].filter((one) => one !== undefined);

interface Round {
  readonly data: string;
  readonly round: number;
  readonly workers: number;
}

async function killOnce({ data, round, workers }: Round): Promise<readonly LoadClient[]> {
  const server = await startServer({ data, env: { ...env, BERTH_HTTP_WORKERS: String(workers) } });
  try {
    await pushSource(registryOf(server));
    const clients = Array.from({ length: clientsAtOnce }, (_, at) => loadClient(`acme/r${round}-c${at}`, source));
    let isKilled = false;
    const running = clients.map((client) => client.run(registryOf(server), () => isKilled));
    await Bun.sleep(20 + Math.random() * 780);
    isKilled = true;
    if (workers > 1 && Math.random() < 0.6) await killOneWorker(server);
    await server.stop("SIGKILL");
    await Promise.all(running);
    return clients;
  } finally {
    await server.stop("SIGKILL");
  }
}

/** The others go on with what they are asked for, until the end of them all. */
async function killOneWorker(server: TestServer): Promise<void> {
  const pids = [...workersOf(server).values()];
  const pid = pids[Math.floor(Math.random() * pids.length)];
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  await Bun.sleep(Math.random() * 800);
}

/** What `berth check` finds; bytes of uploads that were just ended are the next server's to remove. */
async function checkFolder(data: string): Promise<readonly string[]> {
  const { findings } = await runCheck(data);
  return findings
    .filter(({ kind, finished }) => !(kind === "orphan-file" && finished === false))
    .map((finding) => `berth check: ${JSON.stringify(finding)}`);
}

async function pushSource(registry: Registry): Promise<void> {
  const path = `/v2/${source.repository}/blobs`;
  if ((await registry.send("HEAD", `${path}/${source.digest}`)).status === 200) return;
  const put = await registry.send("POST", `${path}/uploads/?digest=${source.digest}`, { body: source.bytes });
  if (put.status !== 201) throw new Error(`the source could not be pushed: ${String(put.status)} ${put.text}`);
}

async function judge(data: string, clients: readonly LoadClient[]): Promise<readonly string[]> {
  const server = await startServer({ data, env });
  const registry = registryOf(server);
  try {
    const found = clients.map(async (client) => [
      ...client.problems(),
      ...(await judgeRepository(registry, client.repository, client.between())),
      ...(await client.judgeLists(registry)),
    ]);
    const problems = (await Promise.all(found)).flat();
    for (const client of clients) client.forgetUploads();
    return problems;
  } finally {
    await server.stop("SIGKILL");
  }
}
