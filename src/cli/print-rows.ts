type Cell = string | number | undefined;
type Row = Readonly<Record<string, Cell | readonly string[]>>;

/** One thing a line: its members that are there, or all of it as JSON. */
export function printRow(row: Row, json: boolean | undefined): void {
  const cells = Object.values(row).filter((cell) => cell !== undefined && cell !== "");
  process.stdout.write(`${json ? JSON.stringify(row) : cells.map(textOf).join("  ")}\n`);
}

const textOf = (cell: Row[string]): string => (Array.isArray(cell) ? cell.join(" ") : String(cell));
