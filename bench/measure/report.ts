import type { RowResult } from "./run-row.ts";
import { type Figure, figures } from "./row.ts";
import { spreadOf } from "./statistics.ts";

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys are what the type is made of
const allFigures = Object.keys(figures) as readonly Figure[];

const written = (value: number, figure: Figure): string => value.toFixed(figures[figure].digits);

/** Median, and the least and the most where there were several rounds. */
function cell(values: readonly number[], figure: Figure): string {
  if (values.length === 0) return "";
  const { median, least, most } = spreadOf(values);
  const spread = values.length === 1 ? "" : ` (${written(least, figure)}..${written(most, figure)})`;
  return `${written(median, figure)}${spread}`;
}

const inOneLine = (text: string): string => text.replaceAll(/\s+/g, " ");

const tableRow = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] => [
  tableRow(head),
  tableRow(head.map(() => "---")),
  ...rows.map(tableRow),
];

/** One row of the issue as a section of its own. */
export function describeRow({ row, samples, verdicts, missing, failures }: RowResult): readonly string[] {
  const shown = allFigures.filter((figure) =>
    [...samples.values()].some((rounds) => rounds.some((sample) => sample[figure] !== undefined)),
  );
  const lines = [...samples].map(([name, rounds]) => [
    name,
    ...shown.map((figure) =>
      cell(
        rounds.flatMap((sample) => sample[figure] ?? []),
        figure,
      ),
    ),
  ]);
  return [
    `### ${row.name}: ${row.title}`,
    "",
    ...(row.notes === undefined ? [] : [row.notes, ""]),
    ...table(["", ...shown.map((figure) => figures[figure].unit)], lines),
    "",
    ...verdicts.map(({ outcome, text }) => `- **${outcome}**: ${text}`),
    ...missing.map((what) => `- not measured: ${what}`),
    ...failures.map((what) => `- **failed**: ${inOneLine(what)}`),
    "",
  ];
}

export interface Report {
  /** What was measured where, a line each. */
  readonly head: readonly string[];
  readonly results: readonly RowResult[];
  /** Sections behind the rows. */
  readonly more?: readonly string[];
}

export function describeAll({ head, results, more = [] }: Report): string {
  const summary = results.flatMap(({ row, verdicts }) =>
    verdicts.map(({ outcome, text }) => [row.name, text, outcome]),
  );
  const lines = [
    "# Results",
    "",
    "Written by `npm run bench`: median of the rounds, and in brackets the least and the most. How it is measured is in",
    "[README.md](README.md).",
    "",
    ...head.map((line) => `- ${line}`),
    "",
    "## Targets",
    "",
    ...table(["row", "found, and wanted", ""], summary),
    "",
    "## Rows",
    "",
    ...results.flatMap(describeRow),
    ...more,
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}
