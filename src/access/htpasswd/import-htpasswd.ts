import type { Database } from "../../platform/database/database.ts";
import { createToldAccount, findAccountByName } from "../accounts.ts";
import { type HtpasswdRefusal, parseHtpasswd } from "./parse-htpasswd.ts";

export interface ImportedHtpasswd {
  readonly created: readonly string[];
  /** There are accounts of these names; they are as they were. */
  readonly existing: readonly string[];
  readonly refused: readonly HtpasswdRefusal[];
}

/**
 * Makes accounts of the names that have none, with the hashes that the file has: their passwords stay what they are. It
 * changes no account that is there, so it may be done again and again. @param now milliseconds since 1970
 */
export async function importHtpasswd(database: Database, text: string, now: number): Promise<ImportedHtpasswd> {
  const { entries, refused } = parseHtpasswd(text);
  const [created, existing]: [string[], string[]] = [[], []];
  for (const { name, passwordHash } of entries) {
    const account = { name, passwordHash, administrator: false, createdAt: now };
    const isNew =
      (await findAccountByName(database, name)) === undefined && (await createToldAccount(database, account));
    (isNew ? created : existing).push(name);
  }
  return { created, existing, refused };
}
