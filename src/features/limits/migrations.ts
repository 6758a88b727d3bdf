import type { Migrations } from "../../platform/database/migrations.ts";

export const limitMigrations: Migrations = {
  owner: "limits",
  steps: [
    {
      name: "202611290030_pull_counts",
      async up({ schema }, { text, integer }) {
        await schema
          .createTable("pull_counts")
          .addColumn("source", text, (column) => column.primaryKey())
          .addColumn("started_at", integer, (column) => column.notNull())
          .addColumn("pulls", integer, (column) => column.notNull())
          .execute();
        await schema.createIndex("pull_counts_started").on("pull_counts").column("started_at").execute();
      },
    },
  ],
};
