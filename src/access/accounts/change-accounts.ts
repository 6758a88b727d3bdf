import { fail } from "../../oci/problem.ts";
import type { Writer } from "../../platform/database/database.ts";
import type { AccessEvent } from "../../platform/events/access-event.ts";
import { type RecordingWriter, recordEvents } from "../../platform/events/record-events.ts";
import { countUpRevision } from "../access-revision.ts";
import type { AccountName } from "../account-name.ts";
import { changePassword, createAccount, deleteAccount, setDisabled } from "../accounts.ts";
import { toTime } from "../api/parameters.ts";
import { one, type Removed, some } from "../api/removal.ts";
import { requireRevision } from "../require-revision.ts";
import { countTokens } from "../tokens/list-tokens.ts";
import { findShownAccount, type ShownAccount } from "./find-accounts.ts";

interface NewAccount {
  readonly name: AccountName;
  readonly passwordHash: string;
  readonly displayName?: string | undefined;
  readonly email?: string | undefined;
  readonly createdAt: number;
}

/** @throws RegistryError CONFLICT where the name is taken */
export async function addAccount(tx: RecordingWriter, given: NewAccount): Promise<ShownAccount> {
  const { displayName = "", ...rest } = given;
  const isNew = await createAccount(tx, { ...rest, displayName, administrator: false });
  if (!isNew) fail({ code: "CONFLICT", reasons: [`there is an account ${given.name} already`] });
  const made = await requireAccount(tx, given.name);
  recordEvents(tx, { ...changed("account-created", made), after: profileOf(made) });
  return made;
}

interface AccountChange {
  readonly name: AccountName;
  readonly expected: number | undefined;
  readonly displayName?: string | undefined;
  readonly email?: string | null | undefined;
  readonly disabled?: boolean | undefined;
}

/** @throws RegistryError OBJECT_UNKNOWN, REVISION_STALE, CONFLICT where it is the last administrator */
export async function editAccount(tx: RecordingWriter, change: AccountChange): Promise<ShownAccount> {
  await countUpRevision(tx);
  const before = await requireAccount(tx, change.name);
  const { id } = before;
  requireRevision(change.expected, before.revision);
  const email = change.email === undefined ? before.email : (change.email ?? undefined);
  const { displayName = before.displayName, disabled = before.disabled } = change;
  if (displayName !== before.displayName || email !== before.email) {
    await tx
      .updateTable("accounts")
      .set((eb) => ({ display_name: displayName, email: email ?? null, revision: eb("revision", "+", 1) }))
      .where("id", "=", id)
      .execute();
  }
  if (disabled !== before.disabled) await setDisabled(tx, id, disabled);
  const after = await requireAccount(tx, change.name);
  if (after.revision === before.revision) return after;
  recordEvents(tx, { ...changed("account-changed", after), before: profileOf(before), after: profileOf(after) });
  return after;
}

const changed = (action: AccessEvent["action"], { id, name }: Pick<ShownAccount, "id" | "name">): AccessEvent => ({
  kind: "access-changed",
  action,
  target: { id, name },
});

const profileOf = ({ displayName, email, disabled }: ShownAccount) => ({ displayName, email, disabled });

interface NewPassword {
  readonly name: AccountName;
  readonly passwordHash: string;
  readonly changedAt: number;
  /** Also of an account whose password a source of identity knows: from then on it is the database's. */
  readonly takeOver: boolean;
}

/** @throws RegistryError OBJECT_UNKNOWN, CONFLICT where a source knows the password */
export async function replacePassword(tx: RecordingWriter, given: NewPassword): Promise<void> {
  const { id, name, passwordChangedAt, hasPassword } = await requireAccount(tx, given.name);
  if (!hasPassword && !given.takeOver)
    fail({
      code: "CONFLICT",
      reasons: [
        `a source of identity knows ${name}'s password; takeOver (--local) gives it one of its own in place of that`,
      ],
    });
  await changePassword(tx, { id, passwordHash: given.passwordHash, changedAt: given.changedAt });
  const after = { passwordChangedAt: toTime(given.changedAt) };
  recordEvents(tx, { ...changed("account-changed", { id, name }), before: { passwordChangedAt }, after });
}

/** @throws RegistryError OBJECT_UNKNOWN, CONFLICT where somebody else would be left without what they need */
export async function removeAccount(tx: RecordingWriter, name: AccountName): Promise<Removed[]> {
  await countUpRevision(tx);
  const before = await requireAccount(tx, name);
  const { id } = before;
  const removes = [
    one("account", name),
    ...some("session", await countOf(tx, "sessions", id)),
    ...some("refresh token", await countOf(tx, "refresh_tokens", id)),
    ...some("personal token", await countTokens(tx, "account", id)),
    ...some("membership of an organization", await countOf(tx, "organization_members", id)),
    ...some("membership of a team", await countOf(tx, "team_members", id)),
  ];
  await deleteAccount(tx, id);
  recordEvents(tx, { ...changed("account-deleted", before), before: profileOf(before) });
  return removes;
}

async function requireAccount(tx: Writer, name: AccountName): Promise<ShownAccount> {
  return (await findShownAccount(tx, name)) ?? fail({ code: "OBJECT_UNKNOWN", what: "account" });
}

async function countOf(
  tx: Writer,
  table: "sessions" | "refresh_tokens" | "organization_members" | "team_members",
  id: string,
): Promise<number> {
  const { count } = await tx
    .selectFrom(table)
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("account_id", "=", id)
    .executeTakeFirstOrThrow();
  return count;
}
