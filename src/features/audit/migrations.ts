import { sql } from "kysely";
import type { Migrations } from "../../platform/database/migrations.ts";
import { eventMigrations } from "../../platform/events/migrations.ts";
import { firstLink } from "./chain.ts";

export const auditMigrations: Migrations = {
  owner: "audit",
  needs: [eventMigrations],
  steps: [
    {
      name: "202611282220_audit",
      async up(tx, { text, integer }) {
        const { schema } = tx;
        await schema
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
        // Everything is listed by time, and most is looked for by one of these.
        await schema.createIndex("audit_entries_at").on("audit_entries").columns(["at", "id"]).execute();
        for (const column of ["actor_name", "action", "repository", "request_id"] as const) {
          await schema
            .createIndex(`audit_entries_${column}`)
            .on("audit_entries")
            .columns([column, "at", "id"])
            .execute();
        }
        // Few are, so that the others cost nothing.
        await schema
          .createIndex("audit_entries_refused")
          .on("audit_entries")
          .columns(["at", "id"])
          .where(sql.ref("outcome"), "=", sql.lit("refused"))
          .execute();
        await schema
          .createTable("audit_requests")
          .addColumn("request_id", text, (column) => column.primaryKey())
          .addColumn("entry_id", integer, (column) => column.notNull())
          .execute();
        await schema.createIndex("audit_requests_entry").on("audit_requests").column("entry_id").execute();
        await schema
          .createTable("audit_seals")
          .addColumn("number", integer, (column) => column.primaryKey())
          .addColumn("from_id", integer, (column) => column.notNull())
          .addColumn("to_id", integer, (column) => column.notNull())
          .addColumn("digest", text, (column) => column.notNull())
          .addColumn("sealed_at", integer, (column) => column.notNull())
          .addColumn("newest_at", integer, (column) => column.notNull())
          .execute();
        await schema
          .createTable("audit_state")
          .addColumn("id", integer, (column) => column.primaryKey())
          .addColumn("last_id", integer, (column) => column.notNull())
          .addColumn("enabled", integer, (column) => column.notNull())
          .addColumn("cut_number", integer, (column) => column.notNull())
          .addColumn("cut_digest", text, (column) => column.notNull())
          .addColumn("cut_to", integer, (column) => column.notNull())
          .execute();
        await tx
          .insertInto("audit_state")
          .values({ id: 1, last_id: 0, enabled: 0, cut_number: 0, cut_digest: firstLink, cut_to: 0 })
          .execute();
      },
    },
  ],
};
