type Shown = Readonly<Record<string, unknown>>;

/** A thing, as JSON on one line or a member a line. */
export const printOne = (value: Shown, json: boolean): void => print(json ? JSON.stringify(value) : members(value));

const members = (value: Shown): string => {
  const entries = Object.entries(value).filter(([, one]) => one !== undefined && one !== "");
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, one]) => `${name.padEnd(width)}  ${cell(one)}`).join("\n");
};

/** Things of a list, one JSON object a line or as a line of some members. */
export function printRow(value: Shown, columns: readonly string[], json: boolean): void {
  const cells = columns.map((column) => cell(value[column]));
  print(json ? JSON.stringify(value) : cells.filter((one) => one !== "").join("  "));
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** What a terminal would take for a command of its own is not shown as it is. */
const cell = (value: unknown): string =>
  (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value)).replaceAll(
    // oxlint-disable-next-line no-control-regex
    /[\x00-\x1f\x7f-\x9f]/g,
    "?",
  );
