import { isTree } from "../tree.ts";
import type { Harmless } from "./row.ts";

const unitSeconds: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** A duration as Go writes it, `1h30m`, in whole seconds, one at least; a number is nanoseconds. What is none stays. */
export function durationToSeconds(value: unknown): unknown {
  if (typeof value === "number") return Math.max(1, Math.ceil(value * 1e-9));
  if (value === "0") return 1;
  if (typeof value !== "string" || !/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(value)) return value;
  let seconds = 0;
  for (const [, count = "", unit = ""] of value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    seconds += Number(count) * (unitSeconds[unit] ?? 0);
  return Math.max(1, Math.ceil(seconds));
}

export const toLowerCase = (value: unknown): unknown => (typeof value === "string" ? value.toLowerCase() : value);

/** Distribution's word for the check of an index, as whether the check is left out. */
export function platformsToSparse(value: unknown): unknown {
  const word = toLowerCase(value);
  if (word === "all" || word === "none") return word === "none";
  return value;
}

const not = (text: string, harmless: (value: unknown) => boolean): Harmless => ({ text, holds: harmless });

export const whenFalse = not("`false`", (value) => value === false);

export const whenOneOf = (...words: readonly string[]): Harmless =>
  not(words.map((word) => `\`${word}\``).join(" and "), (value) => words.some((word) => word === value));

export const whenEveryIsDisabled = not("entries with `disabled: true`", (value) =>
  itemsOf(value).every((item) => isTree(item) && item["disabled"] === true),
);

const matchesAll = new Set([".*", "^.*", ".*$", "^.*$"]);

export const whenItAllowsAll = not("a list with `.*`", (value) =>
  itemsOf(value).some((item) => typeof item === "string" && matchesAll.has(item)),
);

/** Of a list, or of the numbered entries that variables make. */
const itemsOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : isTree(value) ? Object.values(value) : [value];
