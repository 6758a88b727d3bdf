import { randomUUID } from "node:crypto";
import type { Writer } from "../platform/database/database.ts";
import type { ColumnTypes } from "../platform/database/migrations.ts";
import { giveNamespace } from "./own-namespace.ts";

/** Organizations, teams, namespaces, roles and grants; who was an administrator has it by a grant from now on. */
export async function createModel(tx: Writer, columns: ColumnTypes): Promise<void> {
  await createRevision(tx, columns);
  await createOrganizations(tx, columns);
  await createTeams(tx, columns);
  await createNamespaces(tx, columns);
  await createGrants(tx, columns);
  await tx
    .insertInto("namespaces")
    .values([
      { ...instanceNamespace(""), visibility: "private" },
      { ...instanceNamespace("library"), visibility: "public" },
    ])
    .execute();
  await moveAccounts(tx);
}

const instanceNamespace = (name: string) => ({
  id: randomUUID(),
  name,
  owner_kind: "instance" as const,
  owner_id: "",
  create_on_push: "project-admins" as const,
  created_at: Date.now(),
});

async function createRevision(tx: Writer, { integer }: ColumnTypes): Promise<void> {
  await tx.schema
    .createTable("access_revision")
    .addColumn("id", integer, (column) => column.primaryKey().notNull())
    .addColumn("revision", integer, (column) => column.notNull())
    .execute();
  await tx.insertInto("access_revision").values({ id: 1, revision: 1 }).execute();
}

async function createOrganizations({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("organizations")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("name", text, (column) => column.notNull().unique())
    .addColumn("display_name", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .execute();
  await schema
    .createTable("organization_members")
    .addColumn("organization_id", text, (column) => column.notNull())
    .addColumn("account_id", text, (column) => column.notNull())
    .addColumn("role", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("organization_members_key", ["organization_id", "account_id"])
    .execute();
  await schema
    .createIndex("organization_members_account")
    .on("organization_members")
    .columns(["account_id", "organization_id"])
    .execute();
}

async function createTeams({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("teams")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("organization_id", text, (column) => column.notNull())
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addUniqueConstraint("teams_name", ["organization_id", "name"])
    .execute();
  await schema
    .createTable("team_members")
    .addColumn("team_id", text, (column) => column.notNull())
    .addColumn("account_id", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("team_members_key", ["team_id", "account_id"])
    .execute();
  await schema.createIndex("team_members_account").on("team_members").columns(["account_id", "team_id"]).execute();
}

async function createNamespaces({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("namespaces")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("name", text, (column) => column.notNull().unique())
    .addColumn("owner_kind", text, (column) => column.notNull())
    .addColumn("owner_id", text, (column) => column.notNull())
    .addColumn("visibility", text)
    .addColumn("create_on_push", text)
    .addColumn("created_at", integer, (column) => column.notNull())
    .execute();
  await schema
    .createIndex("namespaces_owner")
    .on("namespaces")
    .columns(["owner_kind", "owner_id", "name", "id"])
    .execute();
}

async function createGrants({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("roles")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("name", text, (column) => column.notNull().unique())
    .addColumn("permissions", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .execute();
  await schema
    .createTable("grants")
    .addColumn("id", text, (column) => column.primaryKey().notNull())
    .addColumn("principal_kind", text, (column) => column.notNull())
    .addColumn("principal_id", text, (column) => column.notNull())
    .addColumn("role", text, (column) => column.notNull())
    .addColumn("scope_kind", text, (column) => column.notNull())
    .addColumn("scope_id", text, (column) => column.notNull())
    .addColumn("pattern", text)
    .addColumn("tag_pattern", text)
    .addColumn("networks", text)
    .addColumn("expires_at", integer)
    .addColumn("created_at", integer, (column) => column.notNull())
    .execute();
  await schema
    .createIndex("grants_principal")
    .on("grants")
    .columns(["principal_kind", "principal_id", "scope_kind", "scope_id"])
    .execute();
  await schema.createIndex("grants_scope").on("grants").columns(["scope_kind", "scope_id", "id"]).execute();
  await schema.createIndex("grants_role").on("grants").columns(["role", "id"]).execute();
}

async function moveAccounts(tx: Writer): Promise<void> {
  const accounts = await tx.selectFrom("accounts").select(["id", "name", "administrator", "created_at"]).execute();
  for (const { id, name, administrator, created_at } of accounts) {
    await giveNamespace(tx, { id, name, createdAt: created_at });
    if (administrator === 1) await makeAdministrator(tx, id, created_at);
  }
}

/** Also of an account that is being made. */
export async function makeAdministrator(tx: Writer, accountId: string, createdAt: number): Promise<void> {
  await tx
    .insertInto("grants")
    .values({
      id: randomUUID(),
      principal_kind: "account",
      principal_id: accountId,
      role: "administrator",
      scope_kind: "instance",
      scope_id: "",
      pattern: null,
      tag_pattern: null,
      networks: null,
      expires_at: null,
      created_at: createdAt,
    })
    .execute();
}
