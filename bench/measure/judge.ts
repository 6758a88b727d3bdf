import { spreadOf } from "./statistics.ts";
import { figures, type Row, type Sample, type Target } from "./row.ts";

/** Samples of each contestant that took part, by name: one a round. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

export interface Verdict {
  readonly target: Target;
  readonly outcome: "met" | "not met" | "not judged";
  /** What was found, and what it should be. */
  readonly text: string;
}

export const judgeRow = (row: Row, samples: Samples): readonly Verdict[] =>
  row.targets.map((target) => judgeTarget(target, samples));

function judgeTarget(target: Target, samples: Samples): Verdict {
  const { figure, times } = target;
  const own = medianOf(samples, target.of, figure);
  const other = times === undefined ? 1 : medianOf(samples, times, figure);
  if (own === undefined || other === undefined) {
    const who = own === undefined ? target.of : (times ?? "");
    return { target, outcome: "not judged", text: `${who} was not measured` };
  }
  const found = own / other;
  const isMet = found >= (target.atLeast ?? -Infinity) && found <= (target.atMost ?? Infinity);
  const wanted = [
    ...(target.atLeast === undefined ? [] : [`at least ${target.atLeast}`]),
    ...(target.atMost === undefined ? [] : [`at most ${target.atMost}`]),
  ].join(", ");
  const what = times === undefined ? figures[figure].unit : `x ${times} (${figures[figure].unit})`;
  return { target, outcome: isMet ? "met" : "not met", text: `${target.of}: ${found.toFixed(2)} ${what}, ${wanted}` };
}

export function medianOf(samples: Samples, name: string, figure: Target["figure"]): number | undefined {
  const values = (samples.get(name) ?? []).flatMap((sample) => sample[figure] ?? []);
  return values.length === 0 ? undefined : spreadOf(values).median;
}
