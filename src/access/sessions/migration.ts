import type { Migration } from "../../platform/database/migrations.ts";

export const sessionsMigration: Migration = {
  name: "202611282100_sessions",
  async up({ schema }, { text, integer }) {
    await schema
      .createTable("sessions")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("secret_hash", text, (column) => column.notNull())
      .addColumn("account_id", text, (column) => column.notNull().references("accounts.id").onDelete("cascade"))
      .addColumn("account_epoch", integer, (column) => column.notNull())
      .addColumn("created_at", integer, (column) => column.notNull())
      .addColumn("active_at", integer, (column) => column.notNull())
      .addColumn("expires_at", integer, (column) => column.notNull())
      .execute();
    await schema
      .createIndex("sessions_by_account")
      .on("sessions")
      .columns(["account_id", "created_at", "id"])
      .execute();
    await schema.createIndex("sessions_by_expiry").on("sessions").column("expires_at").execute();
  },
};
