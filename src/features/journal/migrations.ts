import type { Migrations } from "../../platform/database/migrations.ts";
import { eventMigrations } from "../../platform/events/migrations.ts";

export const journalMigrations: Migrations = {
  owner: "journal",
  needs: [eventMigrations],
  steps: [
    {
      name: "202611280000_journal",
      up: ({ schema }, { text, integer }) =>
        schema
          .createTable("journal_state")
          .addColumn("id", integer, (column) => column.primaryKey())
          .addColumn("registry", text, (column) => column.notNull())
          .addColumn("epoch", integer, (column) => column.notNull())
          .addColumn("last_segment", integer, (column) => column.notNull())
          .addColumn("snapshots", integer, (column) => column.notNull())
          .addColumn("snapshot_number", integer, (column) => column.notNull())
          .addColumn("snapshot_to", integer, (column) => column.notNull())
          .addColumn("snapshot_at", integer, (column) => column.notNull())
          .addColumn("rebuilding", integer, (column) => column.notNull().defaultTo(0))
          .execute(),
    },
  ],
};
