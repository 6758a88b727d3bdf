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
    {
      name: "202611290615_labels",
      async up({ schema }, { text, integer }) {
        await schema
          .createTable("repository_labels")
          .addColumn("repository_id", integer, (column) => column.notNull())
          .addColumn("key", text, (column) => column.notNull())
          .addColumn("value", text, (column) => column.notNull())
          .addColumn("repository", text, (column) => column.notNull())
          .addPrimaryKeyConstraint("repository_labels_key", ["repository_id", "key"])
          .execute();
        // With the id: a page of those with a label is read from the index alone, in the order of their names.
        await schema
          .createIndex("repository_labels_by_key")
          .on("repository_labels")
          .columns(["key", "repository", "repository_id"])
          .execute();
        await schema
          .createIndex("repository_labels_by_value")
          .on("repository_labels")
          .columns(["key", "value", "repository", "repository_id"])
          .execute();
      },
    },
  ],
};
