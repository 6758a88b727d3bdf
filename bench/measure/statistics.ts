export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The value below which a part of the sorted values lies, by nearest rank. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (at === undefined) throw new Error("there is no quantile of nothing");
  return at;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) throw new Error("there is no median of nothing");
  const upper = sorted[middle] ?? most;
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle] ?? least;
  return { median: (lower + upper) / 2, least, most };
}
