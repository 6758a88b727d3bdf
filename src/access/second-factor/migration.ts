import type { Migration } from "../../platform/database/migrations.ts";

export const secondFactorMigration: Migration = {
  name: "202611282230_second_factors",
  async up({ schema }, { text, integer }) {
    await schema
      .alterTable("accounts")
      .addColumn("second_factor", integer, (column) => column.notNull().defaultTo(0))
      .execute();
    await schema
      .createTable("second_factors")
      .addColumn("account_id", text, (column) => column.primaryKey().notNull())
      .addColumn("sealed_secret", text, (column) => column.notNull())
      .addColumn("last_step", integer, (column) => column.notNull())
      .execute();
    await schema
      .createTable("recovery_codes")
      .addColumn("account_id", text, (column) => column.notNull())
      .addColumn("code_hash", text, (column) => column.notNull())
      .addPrimaryKeyConstraint("recovery_codes_key", ["account_id", "code_hash"])
      .execute();
  },
};
