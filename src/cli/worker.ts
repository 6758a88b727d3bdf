import type { Command } from "commander";
import type { GuessesUnderWay } from "../access/guesses-under-way.ts";
import type { Reason } from "../http/operations/readiness.ts";
import type { Config } from "../platform/config/schema.ts";
import { joinFolderLock } from "../platform/data-folder/lock-data-folder.ts";
import type { Handle } from "../platform/runtime/http.ts";
import type { Answers, Channel } from "../platform/runtime/workers/channel.ts";
import { joinServer } from "../platform/runtime/workers/join-server.ts";
import { sharedDescriptor } from "../platform/runtime/workers/worker-process.ts";
import { flushAtEnd, openLog, standardOutput } from "../platform/telemetry/log.ts";
import type { MetricsSnapshot } from "../platform/telemetry/metrics.ts";
import { renderSum } from "../platform/telemetry/sum-metrics.ts";
import { releaseJobs } from "../platform/jobs/job-queue.ts";
import { releaseHolds, releaseHoldsOf } from "../registry/uploads/release-holds.ts";
import { openWantedAcme } from "./wanted-acme.ts";
import { type Background, startBackground } from "./background.ts";
import { listen } from "./listen.ts";
import { openRegistry } from "./open-registry.ts";
import { openOperation, startingEntrance, type WholeServer } from "./operation.ts";
import { requireWholeRegistry } from "./require-whole-registry.ts";
import { openServing, readinessChecks } from "./serving.ts";
import { StartError } from "./start-error.ts";
import { flushTraces } from "./tracing.ts";

/** What a worker is told when it begins. */
export interface WorkerOrders {
  readonly name: number;
  readonly id: string;
  readonly config: Config;
  readonly port: number;
  /** No other worker runs or has run: what a start of the server does, this one does. */
  readonly isFirst: boolean;
}

/** `berth worker`: one of the processes of `berth serve --workers`, which starts it. */
export function addWorker(program: Command): void {
  program.command("worker", { hidden: true }).action(run);
}

async function run(): Promise<void> {
  // What is asked before it can be answered waits for that.
  const { promise: answers, resolve: ready } = Promise.withResolvers<Answers>();
  const channel = joinServer(
    Object.fromEntries(topics.map((topic) => [topic, async (value: never) => (await answers)[topic]?.(value)])),
  );
  if (channel === undefined) throw new StartError("a worker is started by berth serve --workers");
  const orders = await channel.call<WorkerOrders>("begin");
  ready(await work(channel, orders));
  await channel.call("serving");
}

/** Of what the supervisor grants beside the requests. */
const flushMs = 3000;

const topics = ["lead", "release", "metrics", "reasons", "stopping", "stop"] as const;

async function work(channel: Channel, { config, name, id, port, isFirst }: WorkerOrders): Promise<Answers> {
  const log = openLog(config.log.level, standardOutput(), { worker: name });
  flushAtEnd(log);
  const operation = await openOperation(config, log, wholeServer(channel));
  const socket = { descriptor: sharedDescriptor, port };
  const { promise: opened, resolve: open } = Promise.withResolvers<Handle>();
  let handle = startingEntrance(operation, opened);
  const answer: Handle = (request) => handle(request);
  // Others answer while a later one starts.
  const early = isFirst ? await listen(config, operation, { handle: answer, socket }) : undefined;
  const lock = joinFolderLock(config.data);
  if (lock === undefined) throw new StartError(`${config.data}: another server is running on this data folder`);
  const registry = await openRegistry(config, id);
  if (isFirst) await requireWholeRegistry(registry);
  const isOurs = registry.database.dialect === "sqlite";
  if (isFirst && isOurs) await releaseHolds(registry);
  const serving = await openServing(config, registry, { operation, guesses: guessesOf(channel) });
  handle = serving.handle;
  open(handle);
  operation.readiness.enter("running", readinessChecks(serving.registry));
  const server = early ?? (await listen(config, operation, { handle: answer, socket }));
  let background: Background | undefined;
  const ends: ((drainMs: number) => Promise<void>)[] = [];
  return {
    async lead() {
      // Who led before is no more.
      if (isOurs) await releaseJobs(registry.database);
      background = startBackground(config, serving, operation);
      ends.push(background.stop);
      const acme = await openWantedAcme(config, operation, server);
      if (acme === undefined) return;
      operation.readiness.enter("running", [...readinessChecks(serving.registry), ...acme.checks]);
      acme.start();
      ends.push((drainMs) => acme.stop(drainMs));
    },
    release: (processes: readonly string[]) => releaseHoldsOf(registry, processes),
    metrics: () => operation.metrics.snapshot(),
    reasons: () => operation.readiness.reasons(),
    stopping() {
      operation.readiness.enter("stopping");
      server.sendAway();
      return server.pending();
    },
    async stop(drainMs: number) {
      const drainUntil = performance.now() + drainMs;
      const [cutOff] = await Promise.all([server.stop(drainMs), ...ends.map((end) => end(drainMs))]);
      if (cutOff > 0) log.warn("requests cut off", { requests: cutOff });
      await flushTraces(operation.tracer, drainUntil);
      await serving.flushNotes(flushMs);
      await background?.flush(flushMs);
      await registry.database.close();
      lock.release();
      await log.drain();
      process.exit(0);
    },
  };
}

const wholeServer = (channel: Channel): WholeServer => ({
  renderMetrics: async () => renderSum(await channel.call<readonly MetricsSnapshot[]>("metrics")),
  async reasons(own) {
    const all = [...own, ...(await channel.call<readonly Reason[]>("reasons"))];
    return [...new Map(all.map((one) => [JSON.stringify([one.check, one.reason]), one])).values()];
  },
});

const guessesOf = (channel: Channel): GuessesUnderWay => ({
  enter: (pair) => channel.call<number>("enter", pair),
  leave: (pair) => channel.call<undefined>("leave", pair),
});
