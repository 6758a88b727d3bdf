import { shownEntry } from "./find-entries.ts";
import type { EntryRow } from "./tables.ts";

/** "Log audit", which is 13 (RFC 5424, 6.2.1). */
const facility = 13;
const severities = { refused: 4, done: 6 } as const;

/** An entry as RFC 5424 has it: what was done is the type of the message, and all of it is JSON in the message. */
export function syslogMessage(row: EntryRow, host: string): Uint8Array {
  const severity = row.outcome === "refused" ? severities.refused : severities.done;
  const time = new Date(row.at).toISOString();
  const head = `<${facility * 8 + severity}>1 ${time} ${word(host, 255)} berth - ${word(row.action, 32)} -`;
  // In ASCII nobody has to know how it is encoded.
  const text = JSON.stringify(shownEntry(row)).replaceAll(
    /[\u0080-\uffff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Buffer.from(`${head} ${text}`);
}

/** Printable ASCII without a space, or `-`, which stands for nothing. */
const word = (text: string, most: number): string => text.replaceAll(/[^\x21-\x7e]/g, "").slice(0, most) || "-";
