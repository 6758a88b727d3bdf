import type { Migrations } from "../database/migrations.ts";

export const jobMigrations: Migrations = {
  owner: "jobs",
  steps: [
    {
      name: "202611280000_jobs",
      async up({ schema }, { text, integer }) {
        await schema
          .createTable("jobs")
          .addColumn("name", text, (column) => column.primaryKey())
          .addColumn("run_at", integer, (column) => column.notNull())
          .addColumn("holder", text)
          .addColumn("held_until", integer, (column) => column.notNull().defaultTo(0))
          .addColumn("started_at", integer)
          .addColumn("ended_at", integer)
          .addColumn("progress", text)
          .addColumn("error", text)
          .addColumn("failures", integer, (column) => column.notNull().defaultTo(0))
          .addColumn("runs", integer, (column) => column.notNull().defaultTo(0))
          .addColumn("failed_runs", integer, (column) => column.notNull().defaultTo(0))
          .execute();
      },
    },
  ],
};
