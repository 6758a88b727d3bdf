import type { Selectable } from "kysely";
import type { z } from "zod";
import type { Database, Tables, Writer } from "../../platform/database/database.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccountName } from "../account-name.ts";
import { toTime } from "../api/parameters.ts";
import type { account } from "./contract.ts";

/** An account as the API shows it. */
export type ShownAccount = z.infer<typeof account>;

interface Filter {
  readonly prefix?: string | undefined;
  readonly disabled?: boolean | undefined;
}

/** No name has a character above these. */
const afterAllNames = "\u{10ffff}";

export async function findAccounts(
  { read }: Database,
  { prefix = "", disabled }: Filter,
  { after = "", limit }: PageRequest,
): Promise<Page<ShownAccount>> {
  const rows = await read
    .selectFrom("accounts")
    .select(shown)
    .where("name", ">", after)
    .$if(prefix !== "", (query) => query.where("name", ">=", prefix).where("name", "<", `${prefix}${afterAllNames}`))
    .$if(disabled !== undefined, (query) => query.where("disabled", "=", disabled === true ? 1 : 0))
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(toShown), limit);
}

export async function findShownAccount(
  reader: Database["read"] | Writer,
  name: AccountName,
): Promise<ShownAccount | undefined> {
  const row = await reader.selectFrom("accounts").select(shown).where("name", "=", name).executeTakeFirst();
  return row && toShown(row);
}

const shown = [
  "id",
  "name",
  "display_name",
  "email",
  "disabled",
  "suspended",
  "password_hash",
  "second_factor",
  "created_at",
  "password_changed_at",
  "revision",
] as const;

type ShownRow = Pick<Selectable<Tables["accounts"]>, (typeof shown)[number]>;

const toShown = (row: ShownRow): ShownAccount => ({
  id: row.id,
  name: row.name,
  displayName: row.display_name,
  ...(row.email !== null && { email: row.email }),
  disabled: row.disabled === 1,
  suspended: row.suspended === 1,
  secondFactor: row.second_factor === 1,
  hasPassword: row.password_hash !== "",
  createdAt: toTime(row.created_at),
  passwordChangedAt: toTime(row.password_changed_at),
  revision: row.revision,
});
