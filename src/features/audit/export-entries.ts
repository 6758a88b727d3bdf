import type { Reader } from "../../platform/database/database.ts";
import { shownEntry } from "./find-entries.ts";
import { entriesBehind } from "./seal.ts";

/**
 * Entries behind an id, from the oldest on, one JSON object a line: those that are there when it begins, and no more of them
 * in memory than a page. @param most how many; all of them, where it is not said
 */
export async function* exportEntries(read: Reader, after: number, most = Infinity): AsyncGenerator<string> {
  const { last_id: last } = await read.selectFrom("audit_state").select("last_id").executeTakeFirstOrThrow();
  let left = most;
  for (let behind = after; behind < last && left > 0;) {
    const rows = (await entriesBehind(read, behind)).slice(0, left);
    const end = rows.at(-1);
    if (end === undefined) return;
    yield rows.map((row) => `${JSON.stringify(shownEntry(row))}\n`).join("");
    behind = end.id;
    left -= rows.length;
  }
}
