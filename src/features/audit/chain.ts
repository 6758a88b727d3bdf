import { createHash } from "node:crypto";
import type { EntryRow } from "./tables.ts";

/** Where a chain stands: a seal, the last entry under it, and the digest of both. */
export interface Link {
  readonly number: number;
  readonly to: number;
  readonly digest: string;
}

/** What the first seal stands on. */
export const firstLink = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/** In this order for ever: a seal of today has to be checked by every later version. */
const columns = [
  "id",
  "at",
  "action",
  "outcome",
  "actor_kind",
  "actor_id",
  "actor_name",
  "token_id",
  "address",
  "request_id",
  "repository",
  "target",
  "times",
  "detail",
] as const satisfies readonly (keyof EntryRow)[];

/** The digest of entries that are added one after the other, behind a seal. */
export function startSeal(previous: string) {
  const hash = createHash("sha256").update(`${previous}\n`);
  return {
    add(row: EntryRow): void {
      hash.update(`${JSON.stringify(columns.map((column) => row[column]))}\n`);
    },
    digest: (): string => `sha256:${hash.digest("hex")}`,
  };
}
