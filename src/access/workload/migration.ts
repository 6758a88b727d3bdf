import type { Migration } from "../../platform/database/migrations.ts";

export const workloadMigration: Migration = {
  name: "202611290040_workload",
  async up({ schema }, { text, integer }) {
    await schema
      .createTable("workload_rules")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("robot_id", text, (column) => column.notNull().references("robots.id").onDelete("cascade"))
      .addColumn("issuer", text, (column) => column.notNull())
      .addColumn("audience", text, (column) => column.notNull())
      .addColumn("conditions", text, (column) => column.notNull())
      .addColumn("created_at", integer, (column) => column.notNull())
      .execute();
    await schema.createIndex("workload_rules_by_robot").on("workload_rules").columns(["robot_id", "id"]).execute();
    await schema
      .createTable("workload_exchanges")
      .addColumn("key", text, (column) => column.primaryKey().notNull())
      .addColumn("robot_id", text, (column) => column.notNull())
      .addColumn("expires_at", integer, (column) => column.notNull())
      .execute();
    await schema
      .createIndex("workload_exchanges_by_robot")
      .on("workload_exchanges")
      .columns(["robot_id", "expires_at"])
      .execute();
    await schema.createIndex("workload_exchanges_by_expiry").on("workload_exchanges").column("expires_at").execute();
  },
};
