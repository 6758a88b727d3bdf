import type { ColumnTypes, Migration } from "../../platform/database/migrations.ts";
import type { Writer } from "../../platform/database/database.ts";

export const tokensMigration: Migration = {
  name: "202611282250_personal_tokens",
  async up(tx, columns) {
    await createTokens(tx, columns);
    await createRobots(tx, columns);
  },
};

/** Those that were rotated before are known by nothing, and end with their overlap. */
export const replacedTokensMigration: Migration = {
  name: "202611290140_replaced_tokens",
  async up({ schema }, { text }) {
    await schema.alterTable("tokens").addColumn("replaced_by", text).execute();
  },
};

async function createTokens({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("tokens")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("owner_kind", text, (column) => column.notNull())
    .addColumn("owner_id", text, (column) => column.notNull())
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("secret_hash", text, (column) => column.notNull())
    .addColumn("scopes", text)
    .addColumn("networks", text)
    .addColumn("state", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .addColumn("last_used_at", integer)
    .addColumn("last_used_address", text)
    .execute();
  await schema.createIndex("tokens_owner").on("tokens").columns(["owner_kind", "owner_id", "id"]).execute();
}

async function createRobots({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("robots")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("name", text, (column) => column.notNull().unique())
    .addColumn("organization_id", text)
    .addColumn("description", text, (column) => column.notNull())
    .addColumn("disabled", integer, (column) => column.notNull())
    .addColumn("epoch", integer, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("expires_at", integer)
    .execute();
  await schema.createIndex("robots_organization").on("robots").columns(["organization_id", "name"]).execute();
}
