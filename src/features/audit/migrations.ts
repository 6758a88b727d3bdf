import { sql } from "kysely";
import type { Writer } from "../../platform/database/database.ts";
import type { ColumnTypes, Migrations } from "../../platform/database/migrations.ts";
import { eventMigrations } from "../../platform/events/migrations.ts";
import { firstLink } from "./chain.ts";

export const auditMigrations: Migrations = {
  owner: "audit",
  needs: [eventMigrations],
  steps: [
    {
      name: "202611282220_audit",
      async up(tx, columns) {
        await createEntries(tx, columns);
        await createIndexes(tx);
        await createState(tx, columns);
      },
    },
    { name: "202611282255_seals", up: createSeals },
    { name: "202611290141_exports", up: createExports },
  ],
};

const createEntries = ({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> =>
  schema
    .createTable("audit_entries")
    .addColumn("id", integer, (column) => column.primaryKey())
    .addColumn("at", integer, (column) => column.notNull())
    .addColumn("action", text, (column) => column.notNull())
    .addColumn("outcome", text, (column) => column.notNull())
    .addColumn("actor_kind", text, (column) => column.notNull())
    .addColumn("actor_id", text, (column) => column.notNull())
    .addColumn("actor_name", text, (column) => column.notNull())
    .addColumn("token_id", text)
    .addColumn("address", text)
    .addColumn("request_id", text)
    .addColumn("repository", text)
    .addColumn("target", text)
    .addColumn("times", integer, (column) => column.notNull())
    .addColumn("detail", text, (column) => column.notNull())
    .execute();

/** Everything is listed by time, and most is looked for by one of these. */
async function createIndexes({ schema }: Writer): Promise<void> {
  await schema.createIndex("audit_entries_at").on("audit_entries").columns(["at", "id"]).execute();
  for (const column of ["actor_name", "action", "repository", "request_id"]) {
    await schema.createIndex(`audit_entries_${column}`).on("audit_entries").columns([column, "at", "id"]).execute();
  }
  // Few are, so that the others cost nothing.
  await schema
    .createIndex("audit_entries_refused")
    .on("audit_entries")
    .columns(["at", "id"])
    .where(sql.ref("outcome"), "=", sql.lit("refused"))
    .execute();
}

async function createState(tx: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await tx.schema
    .createTable("audit_requests")
    .addColumn("request_id", text, (column) => column.primaryKey())
    .addColumn("entry_id", integer, (column) => column.notNull())
    .execute();
  await tx.schema.createIndex("audit_requests_entry").on("audit_requests").column("entry_id").execute();
  await tx.schema
    .createTable("audit_state")
    .addColumn("id", integer, (column) => column.primaryKey())
    .addColumn("last_id", integer, (column) => column.notNull())
    .addColumn("enabled", integer, (column) => column.notNull())
    .execute();
  await tx.insertInto("audit_state").values({ id: 1, last_id: 0, enabled: 0 }).execute();
}

async function createSeals(tx: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await tx.schema
    .createTable("audit_seals")
    .addColumn("number", integer, (column) => column.primaryKey())
    .addColumn("from_id", integer, (column) => column.notNull())
    .addColumn("to_id", integer, (column) => column.notNull())
    .addColumn("digest", text, (column) => column.notNull())
    .addColumn("sealed_at", integer, (column) => column.notNull())
    .addColumn("newest_at", integer, (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable("audit_cut")
    .addColumn("id", integer, (column) => column.primaryKey())
    .addColumn("number", integer, (column) => column.notNull())
    .addColumn("to_id", integer, (column) => column.notNull())
    .addColumn("digest", text, (column) => column.notNull())
    .execute();
  await tx.insertInto("audit_cut").values({ id: 1, number: 0, to_id: 0, digest: firstLink }).execute();
}

async function createExports({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("audit_exports")
    .addColumn("name", text, (column) => column.primaryKey())
    .addColumn("sent_id", integer, (column) => column.notNull())
    .execute();
}
