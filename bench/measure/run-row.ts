import type { Folder } from "./folder.ts";
import { judgeRow, type Samples, type Verdict } from "./judge.ts";
import type { Contestant, Row, Sample } from "./row.ts";

export interface RowResult {
  readonly row: Row;
  readonly samples: Samples;
  readonly verdicts: readonly Verdict[];
  /** Who did not take part, and why. */
  readonly missing: readonly string[];
  /** What went wrong: then nothing of the row counts. */
  readonly failure?: string;
}

export interface RunPlan {
  readonly folder: Folder;
  readonly quick: boolean;
  readonly seconds: number;
  readonly rounds: number;
  /** Everything that is given back when the run is interrupted. */
  readonly all: AsyncDisposableStack;
}

/** Prepares all who take part, then measures each once a round, the first to go another each time. */
export async function runRow(row: Row, plan: RunPlan): Promise<RowResult> {
  const missing = row.contestants.flatMap(({ name, missing: why }) => (why === undefined ? [] : [`${name}: ${why}`]));
  const present = row.contestants.filter((contestant) => contestant.missing === undefined);
  const samples = new Map<string, Sample[]>(present.map(({ name }) => [name, []]));
  const used = plan.all.use(new AsyncDisposableStack());
  try {
    const prepared: { readonly name: string; readonly measure: () => Promise<Sample> }[] = [];
    for (const contestant of present) {
      prepared.push({ name: contestant.name, measure: await prepare(contestant, plan, used) });
    }
    for (let round = 0; round < plan.rounds; round++) {
      const first = round % prepared.length;
      for (const { name, measure } of [...prepared.slice(first), ...prepared.slice(0, first)]) {
        samples.get(name)?.push(await measure());
      }
    }
    return { row, samples, verdicts: judgeRow(row, samples), missing };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { row, samples: new Map(), verdicts: [], missing, failure };
  } finally {
    await used.disposeAsync();
  }
}

async function prepare(
  contestant: Contestant,
  { folder, quick, seconds }: RunPlan,
  used: AsyncDisposableStack,
): Promise<() => Promise<Sample>> {
  try {
    return await contestant.prepare({ folder, quick, seconds, used });
  } catch (error) {
    throw new Error(`${contestant.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
