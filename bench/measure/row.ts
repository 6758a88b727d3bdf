import type { Folder } from "./folder.ts";

/** What a row can tell of a contestant, how it is written, and whether more of it is better. */
export const figures = {
  perSecond: { unit: "/s", digits: 0, better: "more" },
  megabytesPerSecond: { unit: "MB/s", digits: 0, better: "more" },
  perCpuSecond: { unit: "/CPU s", digits: 0, better: "more" },
  cpuMicroseconds: { unit: "us CPU each", digits: 1, better: "less" },
  cpuSecondsPerGigabyte: { unit: "CPU s/GB", digits: 2, better: "less" },
  p50Ms: { unit: "ms p50", digits: 2, better: "less" },
  p99Ms: { unit: "ms p99", digits: 2, better: "less" },
  risenMs: { unit: "ms p99 risen by", digits: 2, better: "less" },
  lockP99Ms: { unit: "ms wait for the database p99", digits: 2, better: "less" },
  lockHeldP99Ms: { unit: "ms hold of the database p99", digits: 2, better: "less" },
  ms: { unit: "ms", digits: 1, better: "less" },
  syncsEach: { unit: "syncs each", digits: 1, better: "less" },
  megabytes: { unit: "MB", digits: 0, better: "less" },
  peakMegabytes: { unit: "MB peak", digits: 0, better: "less" },
} as const satisfies Readonly<Record<string, FigureForm>>;

interface FigureForm {
  readonly unit: string;
  readonly digits: number;
  readonly better: "more" | "less";
}

export type Figure = keyof typeof figures;
export type Sample = Readonly<Partial<Record<Figure, number>>>;

/** One of those who are measured in a row: a server, or one way to ask it. */
export interface Contestant {
  readonly name: string;
  /** Why it cannot take part on this machine. */
  readonly missing: string | undefined;
  /** Starts and fills it; what it takes is given back through `bench.used`. */
  prepare(bench: Bench): Promise<() => Promise<Sample>>;
}

/** `figure` of `of`, as a multiple of another's where there is a `times`, has to be at least or at most a number. */
export interface Target {
  readonly figure: Figure;
  readonly of: string;
  readonly times?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  readonly contestants: readonly Contestant[];
  readonly targets: readonly Target[];
  /** What a reader has to know of how it is done. */
  readonly notes?: string;
}

/** What a measurement is given. */
export interface Bench {
  readonly folder: Folder;
  /** Small sizes and short times: whether it works, and roughly how fast. */
  readonly quick: boolean;
  /** How long something is done that has no end of its own. */
  readonly seconds: number;
  /** Ended, last things first, when the row is over or the run is interrupted. */
  readonly used: AsyncDisposableStack;
}
