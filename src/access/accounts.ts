import { randomUUID } from "node:crypto";
import type { Database, Writer } from "../platform/database/database.ts";
import { server } from "../platform/events/access-event.ts";
import { recordEvents, type RecordingWriter, writeEvents } from "../platform/events/record-events.ts";
import { prepared, type Reading } from "../platform/database/prepared.ts";
import { countUpRevision } from "./access-revision.ts";
import type { AccountName } from "./account-name.ts";
import { endRefreshTokens } from "./end-refresh-tokens.ts";
import { requireAnotherAdministrator, requireOtherOwners } from "./last-one.ts";
import { makeAdministrator } from "./model-migration.ts";
import { giveNamespace } from "./own-namespace.ts";
import { removeNamespacesOf } from "./organizations/remove-namespaces.ts";
import type { Principal } from "./principal.ts";
import type { AccountRow } from "./tables.ts";
import { deleteTokensOf } from "./tokens/list-tokens.ts";

export interface Account {
  readonly id: string;
  readonly name: string;
  /** Empty where it has none of its own: a source of identity knows it. */
  readonly passwordHash: string;
  /** By an administrator, or because no source of identity knows it any more. */
  readonly disabled: boolean;
  /** What was issued under another epoch is void. */
  readonly epoch: number;
  /** Whether its password alone does not sign in. */
  readonly secondFactor: boolean;
}

export const principalOf = ({ id, name }: Account): Principal => ({ kind: "account", id, name });

const byName = prepared((read, given: { readonly name: string }) =>
  read.selectFrom("accounts").selectAll().where("name", "=", given.name),
);

const byId = prepared((read, given: { readonly id: string }) =>
  read.selectFrom("accounts").selectAll().where("id", "=", given.id),
);

export async function findAccountByName(database: Reading, name: AccountName): Promise<Account | undefined> {
  const [row] = await byName(database, { name });
  return row && accountOf(row);
}

export async function findAccountById(database: Reading, id: string): Promise<Account | undefined> {
  const [row] = await byId(database, { id });
  return row && accountOf(row);
}

/** By an administrator, or by its source: whichever it is, the account is out. Nothing else looks at the two. */
export const isOut = (row: { readonly disabled: number | null; readonly suspended: number | null }): boolean =>
  row.disabled === 1 || row.suspended === 1;

export const accountOf = (row: AccountRow): Account => ({
  id: row.id,
  name: row.name,
  passwordHash: row.password_hash,
  disabled: isOut(row),
  epoch: row.epoch,
  secondFactor: row.second_factor === 1,
});

export interface NewAccount {
  /** Without a namespace of its own. */
  readonly restricted?: boolean;
  /** Random, where it is not given. */
  readonly id?: string;
  readonly name: AccountName;
  readonly passwordHash: string;
  readonly administrator: boolean;
  readonly createdAt: number;
  readonly displayName?: string;
  readonly email?: string | undefined;
}

/** `false`: the name is taken, also by another server a moment ago. */
export async function createAccount(tx: Writer, account: NewAccount): Promise<boolean> {
  if (account.administrator) await countUpRevision(tx);
  const id = account.id ?? randomUUID();
  const { createdAt } = account;
  const result = await tx
    .insertInto("accounts")
    .values({
      id,
      name: account.name,
      password_hash: account.passwordHash,
      administrator: account.administrator ? 1 : 0,
      disabled: 0,
      suspended: 0,
      epoch: 1,
      created_at: createdAt,
      password_changed_at: createdAt,
      display_name: account.displayName ?? "",
      email: account.email ?? null,
    })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .executeTakeFirst();
  if (result.numInsertedOrUpdatedRows !== 1n) return false;
  if (account.restricted !== true) await giveNamespace(tx, { id, name: account.name, createdAt });
  if (account.administrator) await makeAdministrator(tx, id, createdAt);
  return true;
}

/** The same where nobody but the server wants the account, and told. */
export const createToldAccount = (database: Database, account: Omit<NewAccount, "id">): Promise<boolean> =>
  writeEvents(
    database,
    async (tx) => {
      const id = randomUUID();
      const isNew = await createAccount(tx, { ...account, id });
      const { name, administrator } = account;
      const told = { kind: "access-changed", action: "account-created", target: { id, name } } as const;
      if (isNew) recordEvents(tx, { ...told, after: { administrator } });
      return isNew;
    },
    server,
  );

export interface NewPassword {
  readonly id: string;
  readonly passwordHash: string;
  readonly changedAt: number;
}

/** Everything that was issued before, and every remembered sign-in, ends with the next request. */
export async function changePassword(tx: RecordingWriter, { id, passwordHash, changedAt }: NewPassword): Promise<void> {
  const changed = await tx
    .updateTable("accounts")
    // With a password of its own it needs no source that knows it.
    .set((eb) => ({
      password_hash: passwordHash,
      password_changed_at: changedAt,
      suspended: 0,
      epoch: eb("epoch", "+", 1),
      revision: eb("revision", "+", 1),
    }))
    .where("id", "=", id)
    .returning(["id", "name"])
    .execute();
  await endRefreshTokens(tx, changed, "password-changed");
}

/** The same password under another hash; nothing that was issued ends. */
export async function replaceHash(database: Database, account: Account, passwordHash: string): Promise<void> {
  await database.write((tx) =>
    tx
      .updateTable("accounts")
      .set({ password_hash: passwordHash })
      .where("id", "=", account.id)
      .where("password_hash", "=", account.passwordHash)
      .execute(),
  );
}

/**
 * Both ways end what was issued before: an account that is enabled again starts without old tokens.
 * @throws RegistryError for the last administrator
 */
export async function setDisabled(tx: RecordingWriter, id: string, disabled: boolean): Promise<void> {
  await countUpRevision(tx);
  if (disabled) await requireAnotherAdministrator(tx, id);
  const changed = await tx
    .updateTable("accounts")
    .set((eb) => ({ disabled: disabled ? 1 : 0, epoch: eb("epoch", "+", 1), revision: eb("revision", "+", 1) }))
    .where("id", "=", id)
    .returning(["id", "name"])
    .execute();
  await endRefreshTokens(tx, changed, disabled ? "account-disabled" : "account-enabled");
}

/**
 * With all that it was given; another account of its name has nothing of it.
 * @throws RegistryError for the last administrator, the last owner of an organization, and while it has repositories
 */
export async function deleteAccount(tx: RecordingWriter, id: string): Promise<void> {
  await countUpRevision(tx);
  await requireAnotherAdministrator(tx, id);
  await requireOtherOwners(tx, id);
  await removeNamespacesOf(tx, { kind: "account", id });
  await tx.deleteFrom("grants").where("principal_kind", "=", "account").where("principal_id", "=", id).execute();
  const ended = await tx
    .updateTable("accounts")
    .set((eb) => ({ epoch: eb("epoch", "+", 1) }))
    .where("id", "=", id)
    .returning(["id", "name"])
    .execute();
  await endRefreshTokens(tx, ended, "account-deleted");
  for (const table of [
    "team_members",
    "organization_members",
    "account_identities",
    "synced_members",
    "sessions",
    "second_factors",
    "recovery_codes",
  ] as const) {
    await tx.deleteFrom(table).where("account_id", "=", id).execute();
  }
  await deleteTokensOf(tx, "account", id);
  await tx.deleteFrom("accounts").where("id", "=", id).execute();
}
