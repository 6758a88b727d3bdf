import { randomUUID } from "node:crypto";
import type { Database } from "../../platform/database/database.ts";
import type { Actor } from "../../platform/events/access-event.ts";
import { recordEvents, type RecordingWriter, writeEvents } from "../../platform/events/record-events.ts";
import { createAccount, findAccountByName } from "../accounts.ts";
import { type HtpasswdRefusal, parseHtpasswd } from "./parse-htpasswd.ts";

export interface ImportedHtpasswd {
  readonly created: readonly string[];
  /** There are accounts of these names; they are as they were. */
  readonly existing: readonly string[];
  readonly refused: readonly HtpasswdRefusal[];
}

/**
 * Makes accounts of the names that have none, with the hashes that the file has: their passwords stay what they are. It
 * changes no account that is there, so it may be done again and again.
 */
export async function importHtpasswd(
  database: Database,
  text: string,
  { actor, now }: { readonly actor: Actor; readonly now: number },
): Promise<ImportedHtpasswd> {
  const { entries, refused } = parseHtpasswd(text);
  const [created, existing]: [string[], string[]] = [[], []];
  for (const { name, passwordHash } of entries) {
    const target = { id: randomUUID(), name };
    const account = { ...target, passwordHash, administrator: false, createdAt: now };
    const make = async (tx: RecordingWriter): Promise<boolean> => {
      const isMade = await createAccount(tx, account);
      if (isMade) recordEvents(tx, { kind: "access-changed", action: "account-created", target });
      return isMade;
    };
    const isNew =
      (await findAccountByName(database, name)) === undefined && (await writeEvents(database, make, { actor }));
    (isNew ? created : existing).push(name);
  }
  return { created, existing, refused };
}
