import { expect, it } from "bun:test";
import type { Log } from "../../telemetry/log.ts";
import type { Answers } from "./channel.ts";
import { type SupervisionLimits, superviseWorkers, type Workers } from "./supervise.ts";

const nothing = (): void => {};
const limits: SupervisionLimits = {
  tickMs: 10,
  silentTicks: 20,
  startTicks: 40,
  settledTicks: 1000,
  firstRestMs: 1,
  longestRestMs: 4,
  mostDeathsInARow: 4,
  abandonMs: 20,
};

/** What a process does from its start on; without an end it beats and serves. */
type Script = (process: FakeProcess) => void;

interface FakeProcess {
  readonly name: number;
  readonly answers: Answers;
  readonly end: (how: number | string) => void;
}

const serve: Script = ({ answers }) => void answers["serving"]?.(null as never);
const die: Script = ({ end }) => end(3);

/** @param scripts of the processes in the order in which they start; the last one goes on */
function supervised(count: number, scripts: readonly Script[]) {
  const events: string[] = [];
  const started: FakeProcess[] = [];
  const beats: NodeJS.Timeout[] = [];
  let hopeless = 0;
  const note = (event: string): void => void events.push(event);
  const log: Log = {
    debug: note,
    info: note,
    warn: note,
    error: note,
    flush: nothing,
    flushSync: nothing,
    drain: async () => undefined,
  };
  const workers: Workers = superviseWorkers({
    count,
    log,
    limits,
    onServing: nothing,
    onEnded: nothing,
    onHopeless: () => hopeless++,
    start({ name }, answers) {
      const { promise: ended, resolve } = Promise.withResolvers<number | string>();
      let beat: NodeJS.Timeout | undefined;
      const end = (how: number | string): void => {
        clearInterval(beat);
        resolve(how);
      };
      const script = scripts[Math.min(started.length, scripts.length - 1)] ?? serve;
      const fake = { name, answers, end };
      started.push(fake);
      if (script !== silent) {
        beat = setInterval(() => void answers["beat"]?.(null as never), 5);
        beats.push(beat);
      }
      queueMicrotask(() => script(fake));
      const channel = {
        call: async <T>(topic: string) => {
          if (topic === "stop" && script !== stubborn) end(0);
          return undefined as T;
        },
        receive: nothing,
        close: nothing,
      };
      return { pid: 1000 + started.length, channel, ended, kill: () => end("SIGKILL") };
    },
  });
  return {
    workers,
    started,
    events,
    count: (event: string) => events.filter((one) => one === event).length,
    hopeless: () => hopeless,
    async end() {
      await workers.stop(0);
      for (const beat of beats) clearInterval(beat);
    },
  };
}

const hang: Script = nothing;
/** Serves, and gives no sign of life. */
const silent: Script = (fake) => serve(fake);
/** Serves, and does not end when it is told to. */
const stubborn: Script = (fake) => serve(fake);

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !isSo(); await Bun.sleep(2)) {
    if (performance.now() > deadline) throw new Error("it did not come to that");
  }
}

it("starts so many, and ends them", async () => {
  const { workers, started, end, count } = supervised(3, [serve]);
  expect(await workers.start()).toBeUndefined();
  expect(started.map(({ name }) => name)).toEqual([1, 2, 3]);
  expect(workers.serving()).toHaveLength(3);
  await end();
  expect([count("worker ended"), count("worker died")]).toEqual([3, 0]);
});

it("does not start where the first one does not come to serve, and tries that once", async () => {
  const { workers, started, end } = supervised(2, [die]);
  expect(await workers.start()).toBe(3);
  expect(started).toHaveLength(1);
  await end();
});

it("replaces one that dies, at the same place", async () => {
  const { workers, started, end } = supervised(2, [serve]);
  await workers.start();
  started[1]?.end("SIGSEGV");
  await until(() => workers.serving().length === 2 && started.length === 3);
  expect(started[2]?.name).toBe(2);
  await end();
});

it("gives up where none serves and one after the other dies at once; with rests between them", async () => {
  const { workers, started, end, hopeless } = supervised(1, [serve, die]);
  await workers.start();
  started[0]?.end(1);
  await until(() => hopeless() === 1);
  // The first one's death counts too.
  expect(started).toHaveLength(limits.mostDeathsInARow);
  await end();
});

it("goes on trying while another one serves", async () => {
  const { workers, started, end, hopeless } = supervised(2, [serve, serve, die]);
  await workers.start();
  started[1]?.end(1);
  await until(() => started.length > limits.mostDeathsInARow + 5);
  expect(hopeless()).toBe(0);
  expect(workers.serving()).toHaveLength(1);
  await end();
});

it("kills and replaces one that gives no sign of life, and one that never comes to serve", async () => {
  for (const script of [silent, hang]) {
    const { workers, started, end, count } = supervised(2, [serve, script, serve]);
    void workers.start();
    await until(() => workers.serving().length === 2 && started.length === 3);
    expect([count("worker hangs"), count("worker died")]).toEqual([1, 1]);
    await end();
  }
});

it("restarts one after the other, each when its successor serves", async () => {
  const { workers, started, events, end } = supervised(2, [serve]);
  await workers.start();
  await workers.restart(0);
  expect(started.map(({ name }) => name)).toEqual([1, 2, 1, 2]);
  expect(workers.serving()).toHaveLength(2);
  expect(events.slice(2)).toEqual([
    "worker started",
    "worker ended",
    "worker started",
    "worker ended",
    "workers restarted",
  ]);
  await end();
});

it("leaves the old ones where a successor does not come to serve", async () => {
  const { workers, started, end, count } = supervised(2, [serve, serve, die]);
  await workers.start();
  await workers.restart(0);
  expect(count("restart given up")).toBe(1);
  expect(workers.serving().map(({ process }) => process.pid)).toEqual([1001, 1002]);
  expect(started).toHaveLength(3);
  await end();
});

it("does not wait for one that does not end when it is told to", async () => {
  const { workers, end, count } = supervised(2, [serve, stubborn]);
  await workers.start();
  await end();
  expect(count("worker ended")).toBe(2);
  expect(workers.serving()).toEqual([]);
});
