import type { z } from "zod";
import type { usage } from "./contract.ts";

const columns = [
  "day",
  "kind",
  "account",
  "token",
  "repository",
  "pulls",
  "pulledBytes",
  "pushes",
  "pushedBytes",
] as const satisfies readonly (keyof z.infer<typeof usage>)[];

/**
 * A cell of RFC 4180. What a spreadsheet would take for a formula is text there by the quote before it: whoever opens the
 * file must not run what somebody has called a repository.
 */
export function csvCell(value: string | number | undefined): string {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const csvHead = `${columns.join(",")}\r\n`;

export const csvLine = (row: z.infer<typeof usage>): string =>
  `${columns.map((column) => csvCell(row[column])).join(",")}\r\n`;
