import { type Folder, makeFolder } from "./folder.ts";
import { judgeRow, type Samples, type Verdict } from "./judge.ts";
import type { Contestant, Row, Sample } from "./row.ts";

export interface RowResult {
  readonly row: Row;
  readonly samples: Samples;
  readonly verdicts: readonly Verdict[];
  /** Who did not take part, and why. */
  readonly missing: readonly string[];
  /** Who could not be measured to the end, and why: nothing of theirs counts. */
  readonly failures: readonly string[];
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
  const contestants = plan.quick ? judgedOf(row) : row.contestants;
  const missing = contestants.flatMap(({ name, missing: why }) => (why === undefined ? [] : [`${name}: ${why}`]));
  const samples = new Map<string, Sample[]>();
  const failures: string[] = [];
  const used = plan.all.use(new AsyncDisposableStack());
  // Goes with the row, behind the servers that use it: rows of gigabytes do not add up.
  const folder = used.use(await makeFolder(plan.folder.path));
  /** Whoever fails is out of the row, and the others go on. */
  const attempt = async <T>(name: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      samples.delete(name);
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    } finally {
      // Interrupted: whoever gives everything back ends the process, and nothing more is started meanwhile.
      if (plan.all.disposed) await new Promise(() => undefined);
    }
  };
  const prepared: { readonly name: string; readonly measure: () => Promise<Sample> }[] = [];
  for (const { name, prepare } of contestants.filter((contestant) => contestant.missing === undefined)) {
    const measure = await attempt(name, () => prepare({ ...plan, folder, used }));
    if (measure === undefined) continue;
    prepared.push({ name, measure });
    samples.set(name, []);
  }
  for (let round = 0; round < plan.rounds; round++) {
    const first = round % Math.max(1, prepared.length);
    for (const { name, measure } of [...prepared.slice(first), ...prepared.slice(0, first)]) {
      if (!samples.has(name)) continue;
      const sample = await attempt(name, measure);
      if (sample !== undefined) samples.get(name)?.push(sample);
    }
  }
  await used.disposeAsync();
  return { row, samples, verdicts: judgeRow(row, samples), missing, failures };
}

/** Those whom a target names: the others are there to be looked at, which takes as long as those. */
function judgedOf({ contestants, targets }: Row): readonly Contestant[] {
  const judged = new Set(targets.flatMap(({ of, times }) => [of, times]));
  return contestants.filter(({ name }) => judged.has(name));
}
