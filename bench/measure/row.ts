import type { Folder } from "./folder.ts";

/** What a row can tell of a contestant, and how it is written. Less is better where it says so. */
export const figures = {
  perSecond: { unit: "/s", digits: 0 },
  megabytesPerSecond: { unit: "MB/s", digits: 0 },
  perCpuSecond: { unit: "/CPU s", digits: 0 },
  cpuMicroseconds: { unit: "us CPU each", digits: 1 },
  cpuSecondsPerGigabyte: { unit: "CPU s/GB", digits: 2 },
  p50Ms: { unit: "ms p50", digits: 2 },
  p99Ms: { unit: "ms p99", digits: 2 },
  risenMs: { unit: "ms p99 risen by", digits: 2 },
  ms: { unit: "ms", digits: 1 },
  syncsEach: { unit: "syncs each", digits: 1 },
  megabytes: { unit: "MB", digits: 0 },
  peakMegabytes: { unit: "MB peak", digits: 0 },
} as const satisfies Readonly<Record<string, { readonly unit: string; readonly digits: number }>>;

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
