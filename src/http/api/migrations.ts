import type { Migrations } from "../../platform/database/migrations.ts";

export const apiMigrations: Migrations = {
  owner: "api",
  steps: [
    {
      name: "202611282100_idempotent_answers",
      async up({ schema }, { text, integer }) {
        await schema
          .createTable("idempotent_answers")
          .addColumn("id", text, (column) => column.primaryKey().notNull())
          .addColumn("principal", text, (column) => column.notNull())
          .addColumn("request_hash", text, (column) => column.notNull())
          .addColumn("sealed_answer", text, (column) => column.notNull())
          .addColumn("created_at", integer, (column) => column.notNull())
          .execute();
        await schema.createIndex("idempotent_answers_by_time").on("idempotent_answers").column("created_at").execute();
        await schema
          .createIndex("idempotent_answers_by_principal")
          .on("idempotent_answers")
          .columns(["principal", "created_at", "id"])
          .execute();
      },
    },
  ],
};
