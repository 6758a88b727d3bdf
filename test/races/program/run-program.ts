import { seeded } from "../../hostile/fuzz/random.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import type { Entry, History } from "../history/history.ts";
import { explain } from "../history/linearize.ts";
import { type Execute, executeOn, type RegistryParts } from "./execute.ts";
import { generate, type Program, type Size } from "./generate.ts";
import { modelOf } from "./model.ts";
import type { Operation } from "./operation.ts";
import { scheduledRegistry } from "./scheduled-registry.ts";
import { type CountBlocked, createScheduler } from "./scheduler.ts";
import { makeUniverse, type Universe } from "./universe.ts";

export interface Stage {
  readonly registry: Registry;
  /** Of the connections of this database; absent where no transaction waits for another (SQLite). */
  readonly countBlocked?: CountBlocked | undefined;
  readonly parts?: RegistryParts;
  readonly size?: Size;
  /** What the clients do; of the seed's choice when absent. */
  readonly program?: Program;
}

export interface Outcome {
  readonly history: History;
  /** What is wrong, with the seed that shows it once more. */
  readonly problem: string | undefined;
}

const usualSize: Size = { clients: 4, operations: 6 };
let programs = 0;

/** Runs the program of a seed, in the order of the same seed. */
export async function runProgram(stage: Stage, seed: number): Promise<Outcome> {
  const random = seeded(seed);
  // Nothing of one program is another's, also where a seed comes again.
  const universe = makeUniverse(`${process.pid}-${(programs += 1)}`, random);
  const program = stage.program ?? generate(random, universe, stage.size ?? usualSize);
  const scheduler = createScheduler(random, stage.countBlocked);
  const history: Entry[] = [];
  let retries = 0;
  const record = recorder({ history, universe, clock: scheduler.tick });
  const direct = executeOn(stage.registry, stage.parts);
  for (const operation of program.before) await record(0, operation, direct);
  await scheduler.run(
    program.clients.map((operations) => async (client) => {
      const turns = { turn: () => scheduler.turn(client), onRetry: () => (retries += 1) };
      const execute = executeOn(scheduledRegistry(stage.registry, turns), stage.parts);
      for (const operation of operations) {
        await scheduler.turn(client);
        await record(client, operation, execute);
      }
    }),
  );
  const problem = explain(history, modelOf(universe)) ?? conflict(retries + scheduler.deadlocks());
  return { history, problem: problem && `seed ${seed}: ${problem}` };
}

/** Transactions that lock in one order never have to be given up. */
const conflict = (count: number): string | undefined =>
  count === 0 ? undefined : `${count} transactions waited for each other and had to begin again`;

interface Recorder {
  readonly history: Entry[];
  readonly universe: Universe;
  readonly clock: () => number;
}

const recorder =
  ({ history, universe, clock }: Recorder) =>
  async (client: number, operation: Operation, execute: Execute): Promise<void> => {
    const calledAt = clock();
    const outcome = await execute(operation, universe).catch((error: unknown) => `failed: ${String(error)}`);
    history.push({ client, operation, calledAt, returnedAt: clock(), outcome });
  };

/** Runs the program of a seed as fast as its clients can; in which order is the machine's choice. */
export async function runAtOnce(
  executes: readonly [Execute, ...Execute[]],
  seed: number,
  size: Size,
): Promise<Outcome> {
  const random = seeded(seed);
  const universe = makeUniverse(`${process.pid}-${(programs += 1)}`, random);
  const { before, clients } = generate(random, universe, size);
  const history: Entry[] = [];
  const record = recorder({ history, universe, clock: () => performance.now() });
  for (const operation of before) await record(0, operation, executes[0]);
  await Promise.all(
    clients.map(async (operations, client) => {
      const execute = executes[client % executes.length] ?? executes[0];
      for (const operation of operations) await record(client, operation, execute);
    }),
  );
  const problem = explain(history, modelOf(universe));
  return { history, problem: problem && `seed ${seed}: ${problem}` };
}
