import { setTimeout as sleep } from "node:timers/promises";
import { guessesUnderWay } from "../access/guesses-under-way.ts";
import type { Reason } from "../http/operations/readiness.ts";
import type { Answers } from "../platform/runtime/workers/channel.ts";
import type { Worker } from "../platform/runtime/workers/supervise.ts";
import { type MetricsSnapshot, openMetrics } from "../platform/telemetry/metrics.ts";
import { sumOfCounters } from "../platform/telemetry/sum-metrics.ts";
import { version } from "./version.ts";

/** A worker that takes longer is left out of what is told of all. */
const answerWithinMs = 2000;

export interface WorkerDuties {
  /** What a worker may ask of all of them together. */
  answers(id: string): Answers;
  onServing(worker: Worker): void;
  onEnded(worker: Worker): void;
}

/** What is one for all workers of a server: who does the background work, what is counted, what the dead have left. */
export function workerDuties(serving: () => readonly Worker[]): WorkerDuties {
  const guesses = guessesByWorker();
  const counted = countedByWorkers(serving);
  /** Those who are no more, and whose uploads nobody has freed yet. */
  const dead = new Set<string>();
  let leader: Worker | undefined;
  const assign = (): void => {
    const [first] = serving();
    if (first === undefined) return;
    if (leader === undefined) {
      leader = first;
      void first.process.channel.call("lead").catch(() => {});
    }
    if (dead.size === 0) return;
    const released = [...dead];
    // Where this fails they run out by themselves.
    void first.process.channel.call("release", released).then(
      () => released.forEach((id) => dead.delete(id)),
      () => {},
    );
  };
  return {
    answers: (id) => ({
      enter: (pair: string) => guesses.enter(id, pair),
      leave: (pair: string) => guesses.leave(id, pair),
      metrics: () => counted.all(),
      async reasons() {
        return (await askAll<readonly Reason[]>(serving(), "reasons")).flatMap(([, reasons]) => reasons);
      },
    }),
    onServing: assign,
    onEnded(worker) {
      if (leader?.id === worker.id) leader = undefined;
      dead.add(worker.id);
      guesses.forget(worker.id);
      counted.forget(worker.id);
      assign();
    },
  };
}

/** Each answer with the worker that gave it. */
async function askAll<T>(
  workers: readonly Worker[],
  topic: string,
): Promise<readonly (readonly [worker: Worker, answer: T])[]> {
  const answers = await Promise.all(
    workers.map(async (worker) => {
      const asked = worker.process.channel.call<T>(topic).catch(() => undefined);
      return [worker, await Promise.race([asked, sleep(answerWithinMs, undefined, { ref: false })])] as const;
    }),
  );
  return answers.flatMap(([worker, answer]) => (answer === undefined ? [] : [[worker, answer] as const]));
}

/** A worker that dies takes its guesses along. */
function guessesByWorker() {
  const all = guessesUnderWay();
  const own = new Map<string, string[]>();
  return {
    async enter(worker: string, pair: string): Promise<number> {
      own.set(worker, [...(own.get(worker) ?? []), pair]);
      return all.enter(pair);
    },
    async leave(worker: string, pair: string): Promise<void> {
      const pairs = own.get(worker) ?? [];
      if (pairs.includes(pair)) await all.leave(pair);
      own.set(worker, pairs.toSpliced(pairs.indexOf(pair), pairs.includes(pair) ? 1 : 0));
    },
    forget(worker: string): void {
      for (const pair of own.get(worker) ?? []) void all.leave(pair);
      own.delete(worker);
    },
  };
}

/** The numbers of all workers and of this process; of those that are no more, as far as anybody has seen them. */
function countedByWorkers(serving: () => readonly Worker[]) {
  const latest = new Map<string, MetricsSnapshot>();
  let ended: Promise<MetricsSnapshot> = Promise.resolve([]);
  let deaths = 0;
  let asking: Promise<readonly MetricsSnapshot[]> | undefined;
  const here = openMetrics(version);
  here.gauge("berth_workers", "Processes that serve.", () => serving().length);
  here.gauge("berth_workers_ended", "Processes that served, and are no more.", () => deaths);
  const ask = async (): Promise<readonly MetricsSnapshot[]> => {
    for (const [{ id }, answer] of await askAll<MetricsSnapshot>(serving(), "metrics")) latest.set(id, answer);
    return [await here.snapshot(), await ended, ...latest.values()];
  };
  return {
    all(): Promise<readonly MetricsSnapshot[]> {
      asking ??= ask().finally(() => (asking = undefined));
      return asking;
    },
    forget(worker: string): void {
      deaths++;
      const last = latest.get(worker);
      latest.delete(worker);
      if (last === undefined) return;
      const before = ended;
      ended = (async () => sumOfCounters([await before, last]))();
    },
  };
}
