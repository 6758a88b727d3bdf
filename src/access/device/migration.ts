import type { Migration } from "../../platform/database/migrations.ts";

export const deviceMigration: Migration = {
  name: "202611290150_device_sign_ins",
  async up({ schema }, { text, integer }) {
    await schema
      .createTable("device_sign_ins")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("secret_hash", text, (column) => column.notNull())
      .addColumn("user_code", text, (column) => column.notNull().unique())
      .addColumn("device", text, (column) => column.notNull())
      .addColumn("scope", text, (column) => column.notNull())
      .addColumn("address", text, (column) => column.notNull())
      .addColumn("network", text, (column) => column.notNull())
      .addColumn("state", text, (column) => column.notNull())
      .addColumn("account_id", text)
      .addColumn("account_epoch", integer)
      .addColumn("interval_ms", integer, (column) => column.notNull())
      .addColumn("polled_at", integer)
      .addColumn("created_at", integer, (column) => column.notNull())
      .addColumn("expires_at", integer, (column) => column.notNull())
      .execute();
    await schema
      .createIndex("device_sign_ins_by_network")
      .on("device_sign_ins")
      .columns(["network", "created_at", "id"])
      .execute();
    await schema.createIndex("device_sign_ins_by_expiry").on("device_sign_ins").column("expires_at").execute();
  },
};
