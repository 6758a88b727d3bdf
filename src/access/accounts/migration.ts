import type { Migration } from "../../platform/database/migrations.ts";

/** What people see of an account, and what a change of it is told apart by. */
export const profilesMigration: Migration = {
  name: "202611282101_profiles",
  async up({ schema }, { text, integer }) {
    await schema
      .alterTable("accounts")
      .addColumn("display_name", text, (column) => column.notNull().defaultTo(""))
      .execute();
    await schema.alterTable("accounts").addColumn("email", text).execute();
    await schema
      .alterTable("accounts")
      .addColumn("revision", integer, (column) => column.notNull().defaultTo(1))
      .execute();
    await schema.createIndex("accounts_by_state").on("accounts").columns(["disabled", "name"]).execute();
  },
};
