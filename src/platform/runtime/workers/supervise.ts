import type { Log } from "../../telemetry/log.ts";
import type { Answers } from "./channel.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** One process of several that serve one port. */
export interface Worker {
  /** Its place, from 1: the process that takes over from it has the same. */
  readonly name: number;
  /** Of this process alone. */
  readonly id: string;
  readonly process: WorkerProcess;
}

export interface SupervisionPlan {
  readonly count: number;
  readonly log: Log;
  readonly start: (worker: Pick<Worker, "name" | "id">, answers: Answers) => WorkerProcess;
  readonly onServing: (worker: Worker) => void;
  readonly onEnded: (worker: Worker) => void;
  /** None serves, and one after the other has died at once. */
  readonly onHopeless: () => void;
  readonly limits?: SupervisionLimits;
}

export interface SupervisionLimits {
  readonly tickMs: number;
  /** Without a sign of life for so many ticks a worker is killed. Ticks of this process: what stops both counts not. */
  readonly silentTicks: number;
  /** So many until it serves. */
  readonly startTicks: number;
  /** One that dies sooner has died at once. */
  readonly settledTicks: number;
  readonly firstRestMs: number;
  readonly longestRestMs: number;
  readonly mostDeathsInARow: number;
  /** How long after its drain time a worker that was told to end is killed. */
  readonly abandonMs: number;
}

const usual: SupervisionLimits = {
  tickMs: 1000,
  silentTicks: 10,
  startTicks: 60,
  settledTicks: 5,
  firstRestMs: 100,
  longestRestMs: 5000,
  mostDeathsInARow: 10,
  abandonMs: 6000,
};

export interface Workers {
  /** Starts one, and the others when that serves. @returns how the first one ended, where it did not come to serve */
  start(): Promise<number | string | undefined>;
  serving(): readonly Worker[];
  /** Another process for each, one after the other; each takes over before its predecessor ends. */
  restart(drainMs: number): Promise<void>;
  /** Ends all, those first that do not serve. */
  stop(drainMs: number): Promise<void>;
}

interface Supervised extends Worker {
  phase: "starting" | "serving" | "leaving";
  silentTicks: number;
  ticksInPhase: number;
  /** Whether it has come to serve. */
  readonly served: PromiseWithResolvers<boolean>;
}

/** Keeps so many workers running: starts them, replaces those that die or hang, and ends them. */
export function superviseWorkers(plan: SupervisionPlan): Workers {
  const { count, log, limits = usual } = plan;
  const state: State = {
    plan,
    limits,
    workers: new Set(),
    deathsInARow: new Map(),
    resting: new Set(),
    isRunning: false,
  };
  const { workers } = state;
  const serving = (): readonly Supervised[] => servingOf(state);
  let restarting: Promise<void> | undefined;
  const ticker = setInterval(() => workers.forEach((worker) => tick(worker, limits, log)), limits.tickMs);
  return {
    serving,
    async start() {
      const first = begin(state, 1);
      if (!(await first.served.promise)) return first.process.ended;
      state.isRunning = true;
      const others = Array.from({ length: count - 1 }, (_, index) => begin(state, index + 2));
      await Promise.all(others.map(({ served }) => served.promise));
      return undefined;
    },
    restart(drainMs) {
      restarting ??= restartAll(state, drainMs).finally(() => (restarting = undefined));
      return restarting;
    },
    async stop(drainMs) {
      state.isRunning = false;
      for (const timer of state.resting) clearTimeout(timer);
      for (const worker of workers) if (worker.phase === "starting") worker.process.kill();
      await Promise.all([...workers].map((worker) => retire(worker, limits, drainMs)));
      clearInterval(ticker);
    },
  };
}

interface State {
  readonly plan: SupervisionPlan;
  readonly limits: SupervisionLimits;
  readonly workers: Set<Supervised>;
  /** By the worker's name. */
  readonly deathsInARow: Map<number, number>;
  /** Replacements that wait. */
  readonly resting: Set<NodeJS.Timeout>;
  /** Whether workers are replaced. */
  isRunning: boolean;
}

const servingOf = ({ workers }: State): readonly Supervised[] =>
  [...workers].filter((worker) => worker.phase === "serving");

function begin(state: State, name: number): Supervised {
  const { plan, workers } = state;
  const id = crypto.randomUUID();
  const answers: Answers = {
    beat() {
      worker.silentTicks = 0;
    },
    serving() {
      enter(worker, "serving");
      worker.served.resolve(true);
      plan.onServing(worker);
    },
  };
  const process = plan.start({ name, id }, answers);
  const served = Promise.withResolvers<boolean>();
  const worker: Supervised = { name, id, process, phase: "starting", silentTicks: 0, ticksInPhase: 0, served };
  workers.add(worker);
  plan.log.info("worker started", { worker: name, pid: process.pid });
  void process.ended.then((how) => ended(state, worker, how));
  return worker;
}

function ended(state: State, worker: Supervised, how: number | string): void {
  const { plan, workers } = state;
  const { name, process } = worker;
  workers.delete(worker);
  worker.served.resolve(false);
  plan.onEnded(worker);
  if (worker.phase === "leaving") return plan.log.info("worker ended", { worker: name, pid: process.pid });
  plan.log.warn("worker died", { worker: name, pid: process.pid, how });
  const hasOther = [...workers].some((other) => other.name === name && other.phase !== "leaving");
  if (state.isRunning && !hasOther) replace(state, worker);
}

/** At once, but for one that dies at once again and again. */
function replace(state: State, { name, phase, ticksInPhase }: Supervised): void {
  const { limits, deathsInARow, resting } = state;
  const hadSettled = phase === "serving" && ticksInPhase >= limits.settledTicks;
  const deaths = hadSettled ? 0 : (deathsInARow.get(name) ?? 0) + 1;
  deathsInARow.set(name, deaths);
  if (deaths >= limits.mostDeathsInARow && servingOf(state).length === 0) return state.plan.onHopeless();
  const restMs = deaths < 2 ? 0 : Math.min(limits.firstRestMs * 2 ** (deaths - 2), limits.longestRestMs);
  const timer = setTimeout(() => {
    resting.delete(timer);
    begin(state, name);
  }, restMs);
  resting.add(timer);
}

async function restartAll(state: State, drainMs: number): Promise<void> {
  const { log } = state.plan;
  for (const old of servingOf(state)) {
    if (!state.isRunning) return;
    const successor = begin(state, old.name);
    if (!(await successor.served.promise)) return log.warn("restart given up", { worker: old.name });
    if (state.workers.has(old)) await retire(old, state.limits, drainMs);
  }
  log.info("workers restarted");
}

function enter(worker: Supervised, phase: Supervised["phase"]): void {
  worker.phase = phase;
  worker.ticksInPhase = 0;
}

function tick(worker: Supervised, { silentTicks, startTicks }: SupervisionLimits, log: Log): void {
  worker.silentTicks++;
  worker.ticksInPhase++;
  const isSilent = worker.silentTicks > silentTicks;
  if (!isSilent && (worker.phase !== "starting" || worker.ticksInPhase <= startTicks)) return;
  log.warn("worker hangs", { worker: worker.name, pid: worker.process.pid });
  worker.process.kill();
}

/** Asks it to end, and does not wait for ever. */
async function retire(worker: Supervised, { abandonMs }: SupervisionLimits, drainMs: number): Promise<void> {
  enter(worker, "leaving");
  const { process } = worker;
  void process.channel.call("stop", drainMs).catch(() => {});
  const late = setTimeout(() => process.kill(), drainMs + abandonMs);
  await process.ended;
  clearTimeout(late);
}
