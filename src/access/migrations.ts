import type { ColumnTypes, Migrations } from "../platform/database/migrations.ts";
import type { Writer } from "../platform/database/database.ts";
import { registryMigrations } from "../registry/migrations.ts";
import { protectionsMigration } from "./protections/migration.ts";
import { createModel } from "./model-migration.ts";
import { deviceMigration } from "./device/migration.ts";
import { profilesMigration } from "./accounts/migration.ts";
import { signInRevisionMigration } from "./sign-in-revision.ts";
import { secondFactorMigration } from "./second-factor/migration.ts";
import { sessionsMigration } from "./sessions/migration.ts";
import { replacedTokensMigration, tokensMigration } from "./tokens/migration.ts";
import { workloadMigration } from "./workload/migration.ts";

export const accessMigrations: Migrations = {
  owner: "access",
  // Which namespaces are free depends on repositories.
  needs: [registryMigrations],
  steps: [
    {
      name: "202611210001_accounts",
      up: async (schema, columns) => {
        await createAccounts(schema, columns);
        await createLoginFailures(schema, columns);
      },
    },
    {
      name: "202611210002_tokens",
      up: async (schema, columns) => {
        await createSigningKeys(schema, columns);
        await createRefreshTokens(schema, columns);
      },
    },
    { name: "202611280001_identities", up: createIdentities },
    sessionsMigration,
    profilesMigration,
    secondFactorMigration,
    { name: "202611282110_model", up: createModel },
    protectionsMigration,
    { name: "202611282230_groups", up: createGroups },
    tokensMigration,
    workloadMigration,
    {
      name: "202611290130_revisions",
      async up({ schema }, { integer }) {
        for (const table of ["organizations", "namespaces", "roles"] as const) {
          await schema
            .alterTable(table)
            .addColumn("revision", integer, (column) => column.notNull().defaultTo(1))
            .execute();
        }
      },
    },
    replacedTokensMigration,
    deviceMigration,
    {
      name: "202611290620_templates",
      async up({ schema }, { text }) {
        await schema.alterTable("namespaces").addColumn("template", text).execute();
      },
    },
    signInRevisionMigration,
  ],
};

async function createAccounts(schema: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema.schema
    .createTable("accounts")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("name", text, (column) => column.notNull().unique())
    .addColumn("password_hash", text, (column) => column.notNull())
    .addColumn("administrator", integer, (column) => column.notNull())
    .addColumn("disabled", integer, (column) => column.notNull())
    .addColumn("epoch", integer, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("password_changed_at", integer, (column) => column.notNull())
    .execute();
}

async function createLoginFailures(schema: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema.schema
    .createTable("login_failures")
    .addColumn("key", text, (column) => column.primaryKey().notNull())
    .addColumn("failures", integer, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .execute();
  await schema.schema
    .createIndex("login_failures_by_expiry")
    .on("login_failures")
    .columns(["expires_at", "key"])
    .execute();
}

async function createSigningKeys(schema: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema.schema
    .createTable("signing_keys")
    .addColumn("kid", text, (column) => column.primaryKey().notNull())
    .addColumn("generation", integer, (column) => column.notNull().unique())
    .addColumn("public_jwk", text, (column) => column.notNull())
    .addColumn("sealed_private_jwk", text, (column) => column.notNull())
    .addColumn("active_from", integer, (column) => column.notNull())
    .addColumn("expires_at", integer)
    .execute();
}

async function createRefreshTokens(schema: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema.schema
    .createTable("refresh_tokens")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("secret_hash", text, (column) => column.notNull())
    .addColumn("account_id", text, (column) => column.notNull().references("accounts.id").onDelete("cascade"))
    .addColumn("account_epoch", integer, (column) => column.notNull())
    .addColumn("service", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("last_used_at", integer, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .execute();
  await schema.schema
    .createIndex("refresh_tokens_by_account")
    .on("refresh_tokens")
    .columns(["account_id", "created_at", "id"])
    .execute();
  await schema.schema.createIndex("refresh_tokens_by_expiry").on("refresh_tokens").column("expires_at").execute();
}

async function createIdentities(schema: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema.schema
    .alterTable("accounts")
    .addColumn("suspended", integer, (column) => column.notNull().defaultTo(0))
    .execute();
  await schema.schema
    .createTable("account_identities")
    .addColumn("source", text, (column) => column.notNull())
    .addColumn("subject", text, (column) => column.notNull())
    .addColumn("account_id", text, (column) => column.notNull().references("accounts.id").onDelete("cascade"))
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("display_name", text)
    .addColumn("email", text)
    .addColumn("active", integer, (column) => column.notNull())
    .addColumn("confirmed_at", integer, (column) => column.notNull())
    .addColumn("linked_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("account_identities_key", ["source", "subject"])
    .execute();
  await schema.schema
    .createIndex("account_identities_by_account")
    .on("account_identities")
    .columns(["account_id", "linked_at"])
    .execute();
}

async function createGroups({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .alterTable("account_identities")
    .addColumn("stale", integer, (column) => column.notNull().defaultTo(0))
    .execute();
  await schema
    .createTable("team_groups")
    .addColumn("team_id", text, (column) => column.notNull().references("teams.id").onDelete("cascade"))
    .addColumn("source", text, (column) => column.notNull())
    .addColumn("group_name", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("team_groups_key", ["team_id", "source", "group_name"])
    .execute();
  await schema.createIndex("team_groups_by_source").on("team_groups").columns(["source", "group_name"]).execute();
  await schema
    .createTable("synced_members")
    .addColumn("organization_id", text, (column) => column.notNull().references("organizations.id").onDelete("cascade"))
    .addColumn("account_id", text, (column) => column.notNull().references("accounts.id").onDelete("cascade"))
    .addColumn("created_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("synced_members_key", ["organization_id", "account_id"])
    .execute();
}
