import { medianOf } from "./judge.ts";
import { table } from "./report.ts";
import { type Figure, figures } from "./row.ts";
import type { RowResult } from "./run-row.ts";

const [own, rival] = ["berth", "docker-registry"];
const [best, worst] = [5, 3];

interface Comparison {
  readonly title: string;
  readonly figure: Figure;
  readonly own: number;
  readonly rival: number;
  /** How many times better: below 1 it is worse. */
  readonly times: number;
}

/** Where each row's own figure stands beside the rival's. */
function compare({ row, samples }: RowResult): readonly Comparison[] {
  const figure = row.targets[0]?.figure;
  // A rise is no multiple of another.
  if (figure === undefined || figure === "risenMs") return [];
  const [ours, theirs] = [medianOf(samples, own, figure), medianOf(samples, rival, figure)];
  if (ours === undefined || theirs === undefined) return [];
  const times = figures[figure].better === "more" ? ours / theirs : theirs / ours;
  return [{ title: row.title, figure, own: ours, rival: theirs, times }];
}

const written = (value: number, figure: Figure): string =>
  `${value.toFixed(figures[figure].digits)} ${figures[figure].unit}`;

/** The rows in which it is best and those in which it is worst, for the page that people read first. */
export function describeBestAndWorst(results: readonly RowResult[]): readonly string[] {
  const compared = results.flatMap(compare).toSorted((a, b) => b.times - a.times);
  const shown = [...compared.slice(0, best), ...compared.slice(best).slice(-worst)];
  return table(
    ["", "Berth", rival, "times better"],
    shown.map(({ title, figure, times, ...values }) => [
      title,
      written(values.own, figure),
      written(values.rival, figure),
      times.toFixed(times < 10 ? 1 : 0),
    ]),
  );
}

/** To two digits: a plan needs no more. */
const rough = (value: number): string => Number(value.toPrecision(2)).toLocaleString("en");

/** What each kind of work costs of a processor or of memory, for who plans a machine. */
export function describeCapacity(results: readonly RowResult[]): readonly string[] {
  const lines = results.flatMap(({ row: { title }, samples }) => {
    const of = (figure: Figure): number | undefined => medianOf(samples, own, figure);
    const [each, gigabyte, idle] = [of("cpuMicroseconds"), of("cpuSecondsPerGigabyte"), of("megabytes")];
    const memory = idle ?? of("peakMegabytes");
    const cells =
      each !== undefined
        ? [`${rough(each)} us each`, `${rough(1e6 / each)} a second`]
        : gigabyte !== undefined
          ? [`${rough(gigabyte)} s for each GB`, `${rough(1000 / gigabyte)} MB/s`]
          : ["", ""];
    return each === undefined && gigabyte === undefined && memory === undefined
      ? []
      : [[title, ...cells, memory === undefined ? "" : `${rough(memory)} MB`]];
  });
  return table(["", "Processor time", "One processor carries", "Memory, all in all"], lines);
}

const [begin, end] = ["<!-- bench -->", "<!-- /bench -->"];

/** Puts lines between the marks of a document. */
export function putBetweenMarks(document: string, lines: readonly string[]): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`the document has no place between ${begin} and ${end}`);
  return [document.slice(0, from + begin.length), "", ...lines, "", document.slice(to)].join("\n");
}
