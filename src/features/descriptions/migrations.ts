import type { Migrations } from "../../platform/database/migrations.ts";

export const descriptionMigrations: Migrations = {
  owner: "descriptions",
  steps: [
    {
      name: "202611282200_descriptions",
      async up({ schema }, { text, integer }) {
        await schema
          .createTable("repository_descriptions")
          .addColumn("repository_id", integer, (column) => column.primaryKey().notNull())
          .addColumn("text", text, (column) => column.notNull())
          .addColumn("revision", integer, (column) => column.notNull())
          .addColumn("updated_at", integer, (column) => column.notNull())
          .execute();
      },
    },
  ],
};
