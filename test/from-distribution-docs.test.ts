import { expect, it } from "bun:test";
import { join, resolve } from "node:path";
import type { Fate } from "../src/platform/config/distribution/row.ts";
import { distributionTable } from "../src/platform/config/distribution/table.ts";

const page = await Bun.file(join(resolve(import.meta.dir, ".."), "docs/operators/from-distribution.md")).text();

function tellFate(fate: Fate): string {
  if (fate.kind === "no-effect") return `no effect: ${fate.because}`;
  if (fate.kind === "stops")
    return `stops the start${fate.unless === undefined ? "" : `, except ${fate.unless.text}`}: ${fate.instead}`;
  const absent = fate.whenAbsent === undefined ? "" : `, \`${String(fate.whenAbsent)}\` when it is not there`;
  return `sets \`${fate.to}\`${absent}${fate.note === undefined ? "" : `: ${fate.note}`}`;
}

const readTable = (markdown: string): readonly string[] =>
  markdown
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
        .join(" | "),
    );

const wanted = distributionTable.map(({ key, fate }) => `\`${key}\` | ${tellFate(fate)}`);

it("tells of every key of distribution's what becomes of it, in the order of the table", () => {
  expect(wanted.length).toBeGreaterThan(50);
  expect(readTable(page)).toEqual(wanted);
});

it("sees a row that is missing, and a fate that differs", () => {
  expect(readTable(page.replace(/^\| `redis`.*\n/m, ""))).toHaveLength(wanted.length - 1);
  expect(readTable(page.replace("sets `data`", "sets `date`"))).not.toEqual(wanted);
});
