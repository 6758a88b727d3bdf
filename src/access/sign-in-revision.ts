import { sql } from "kysely";
import type { Writer } from "../platform/database/database.ts";
import type { Migration } from "../platform/database/migrations.ts";

interface SignInRevisionTable {
  readonly id: number;
  /** Counted up by triggers. */
  readonly revision: number;
}

declare module "../platform/database/database.ts" {
  interface Tables {
    sign_in_revision: SignInRevisionTable;
  }
}

/** All that is asked of the database to tell whether what somebody shows is good, and whose it is. */
export const signInTables = ["accounts", "login_failures", "tokens", "robots", "workload_rules"] as const;

/**
 * Any change of these tables counts up one number, whoever makes it: also a server of the version before, and a hand with
 * `psql`. That tokens were used is such a change too, of which each process makes one in fifteen seconds at most.
 */
export const signInRevisionMigration: Migration = {
  name: "202611290900_sign_in_revision",
  async up(tx, { dialect, integer }) {
    await tx.schema
      .createTable("sign_in_revision")
      .addColumn("id", integer, (column) => column.primaryKey().notNull())
      .addColumn("revision", integer, (column) => column.notNull())
      .execute();
    await tx.insertInto("sign_in_revision").values({ id: 1, revision: 1 }).execute();
    await (dialect === "sqlite" ? countOnSqlite(tx) : countOnPostgres(tx));
  },
};

async function countOnSqlite(tx: Writer): Promise<void> {
  for (const table of signInTables) {
    for (const change of ["insert", "update", "delete"]) {
      const name = sql.id(`sign_in_revision_${table}_${change}`);
      await sql`create trigger ${name} after ${sql.raw(change)} on ${sql.id(table)} begin
        update sign_in_revision set revision = revision + 1 where id = 1;
      end`.execute(tx);
    }
  }
}

/**
 * The row is locked by the commit alone, and once: so no transaction waits for another while it has what that one waits
 * for, and many rows that change together make one new version of it.
 */
async function countOnPostgres(tx: Writer): Promise<void> {
  await sql`create function count_up_sign_in_revision() returns trigger language plpgsql
    set search_path from current as $$
    begin
      if coalesce(current_setting('berth.sign_ins_counted', true), '') = '' then
        update sign_in_revision set revision = revision + 1 where id = 1;
        perform set_config('berth.sign_ins_counted', 'yes', true);
      end if;
      return null;
    end $$`.execute(tx);
  for (const table of signInTables) {
    await sql`create constraint trigger sign_in_revision_change after insert or update or delete on ${sql.id(table)}
      deferrable initially deferred for each row execute function count_up_sign_in_revision()`.execute(tx);
    await sql`create trigger sign_in_revision_truncate after truncate on ${sql.id(table)}
      for each statement execute function count_up_sign_in_revision()`.execute(tx);
  }
}
