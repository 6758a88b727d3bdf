import type { Migrations } from "../../platform/database/migrations.ts";

export const usageMigrations: Migrations = {
  owner: "usage",
  steps: [
    {
      name: "202611290140_usage",
      async up({ schema }, { text, integer }) {
        await schema
          .createTable("usage_days")
          .addColumn("day", text, (column) => column.notNull())
          .addColumn("repository", text, (column) => column.notNull())
          .addColumn("principal_kind", text, (column) => column.notNull())
          .addColumn("principal_id", text, (column) => column.notNull())
          .addColumn("principal_name", text, (column) => column.notNull())
          .addColumn("token_id", text, (column) => column.notNull())
          .addColumn("pulls", integer, (column) => column.notNull())
          .addColumn("pulled_bytes", integer, (column) => column.notNull())
          .addColumn("pushes", integer, (column) => column.notNull())
          .addColumn("pushed_bytes", integer, (column) => column.notNull())
          .addPrimaryKeyConstraint("usage_days_key", ["day", "repository", "principal_id", "token_id"])
          .execute();
        // Each of these with the key's own order behind it.
        const order = ["day", "repository", "principal_id", "token_id"];
        for (const column of ["repository", "principal_name", "token_id"]) {
          const columns = [column, ...order.filter((one) => one !== column)];
          await schema.createIndex(`usage_days_${column}`).on("usage_days").columns(columns).execute();
        }
      },
    },
  ],
};
