import type { Migrations } from "../database/migrations.ts";

export const eventMigrations: Migrations = {
  owner: "events",
  steps: [
    {
      name: "202611280000_events",
      async up({ schema }, { text, integer, identity }) {
        await schema
          .createTable("event_outbox")
          .addColumn("id", identity)
          .addColumn("position", integer, (column) => column.unique())
          .addColumn("recorded_at", integer, (column) => column.notNull())
          .addColumn("events", text, (column) => column.notNull())
          .execute();
        await schema
          .createTable("event_consumers")
          .addColumn("name", text, (column) => column.primaryKey())
          .addColumn("position", integer, (column) => column.notNull())
          .execute();
      },
    },
    {
      name: "202611282110_envelope",
      async up({ schema }, { text }) {
        await schema.alterTable("event_outbox").addColumn("envelope", text).execute();
      },
    },
  ],
};
