import type { Migration } from "../../platform/database/migrations.ts";

export const protectionsMigration: Migration = {
  name: "202611282240_protections",
  async up({ schema }, { text, integer }) {
    await schema
      .createTable("tag_protections")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("scope_kind", text, (column) => column.notNull())
      .addColumn("scope_id", text, (column) => column.notNull())
      .addColumn("pattern", text, (column) => column.notNull())
      .addColumn("create_role", text)
      .addColumn("update_role", text)
      .addColumn("delete_role", text)
      .addColumn("created_at", integer, (column) => column.notNull())
      .execute();
    await schema
      .createIndex("tag_protections_scope")
      .on("tag_protections")
      .columns(["scope_kind", "scope_id", "id"])
      .execute();
  },
};
