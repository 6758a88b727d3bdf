/** A number as it was at a time. */
export interface Sample {
  readonly hours: number;
  readonly value: number;
}

export interface Growth {
  readonly perHour: number;
  /** Standard error: of a number that goes up and down, a part of what looks like growth is chance. */
  readonly error: number;
}

/** The straight line through the samples that fits best (least squares). */
export function growthOf(samples: readonly Sample[]): Growth {
  const count = samples.length;
  const mean = (of: (sample: Sample) => number): number => samples.reduce((sum, one) => sum + of(one), 0) / count;
  const [at, level] = [mean(({ hours }) => hours), mean(({ value }) => value)];
  const sum = (of: (sample: Sample) => number): number => samples.reduce((total, one) => total + of(one), 0);
  const spread = sum(({ hours }) => (hours - at) ** 2);
  const perHour = sum(({ hours, value }) => (hours - at) * (value - level)) / spread;
  const rest = sum(({ hours, value }) => (value - level - perHour * (hours - at)) ** 2);
  return { perHour, error: Math.sqrt(rest / (count - 2) / spread) };
}

/** Whether something grows by more than so much an hour, as far as can be told from its ups and downs. */
export const growsBy = ({ perHour, error }: Growth, mostPerHour: number): boolean => perHour - 2 * error > mostPerHour;
