import { createHash, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Database, Writer } from "../../platform/database/database.ts";
import { type AccountName, parseAccountName } from "../account-name.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Account, createAccount, deleteAccount, findAccountById, findAccountByName } from "../accounts.ts";
import type { AccessChange } from "../change-access.ts";
import type { Named } from "../require-named.ts";
import { changeAsSource } from "./change-as-source.ts";
import { confirmIdentity, toldBy } from "./resync.ts";
import type { Identity } from "./source.ts";
import { changesStanding, syncStanding } from "./sync-standing.ts";

export interface Linking {
  readonly source: string;
  /** Whether somebody new gets an account. */
  readonly onboards: boolean;
  readonly identity: Identity;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Linked {
  readonly account: Account;
  readonly isNew: boolean;
}

/** Rows are written again at most so often, where nothing has changed. */
const confirmedForMs = 5 * 60_000;

/**
 * The account of an identity, which its source has just confirmed: by its source and subject, and by nothing else.
 * Whoever is new gets one. `undefined`: they are new, and the source does not let in who is.
 */
export async function accountOfIdentity(database: Database, linking: Linking): Promise<Linked | undefined> {
  const { source, identity, onboards, now } = linking;
  const known = await database.read
    .selectFrom("account_identities")
    .selectAll()
    .where("source", "=", source)
    .where("subject", "=", identity.subject)
    .executeTakeFirst();
  if (known === undefined && !onboards) return undefined;
  const isCurrent =
    known !== undefined &&
    known.active === 1 &&
    known.stale === 0 &&
    isDeepStrictEqual(toldBy(identity), { name: known.name, display_name: known.display_name, email: known.email }) &&
    now - known.confirmed_at < confirmedForMs;
  const standing = known && {
    account: { id: known.account_id, name: identity.name },
    groups: identity.groups,
    roles: identity.roles,
  };
  const changesRights =
    standing === undefined || known?.stale === 1 || (await changesStanding(database.read, source, [standing]));
  const { id, isNew } =
    isCurrent && !changesRights
      ? { id: known.account_id, isNew: false }
      : await changeAsSource(database, { source, now, changesRights }, (change) => linkIdentity(change, linking));
  const account = await findAccountById(database, id);
  return account && { account, isNew };
}

/** Of two who sign in for the first time at once, one makes the account. */
async function linkIdentity(change: AccessChange, linking: Linking): Promise<{ id: string; isNew: boolean }> {
  const { tx, now } = change;
  const { source, identity } = linking;
  const known = await confirmIdentity(change, source, identity);
  if (known !== undefined) return { id: known, isNew: false };
  const made = await createAccountFor(tx, linking);
  const linked = await tx
    .insertInto("account_identities")
    .values({
      ...toldBy(identity),
      source,
      subject: identity.subject,
      account_id: made.id,
      active: 1,
      stale: 0,
      confirmed_at: now,
      linked_at: now,
    })
    .onConflict((conflict) => conflict.columns(["source", "subject"]).doNothing())
    .executeTakeFirst();
  if (linked.numInsertedOrUpdatedRows === 1n) {
    const { subject } = identity;
    recordEvents(tx, { kind: "access-changed", action: "account-created", target: made, after: { source, subject } });
    await syncStanding(change, source, { account: made, groups: identity.groups, roles: identity.roles });
    return { id: made.id, isNew: true };
  }
  await deleteAccount(tx, made.id);
  const { account_id: other } = await tx
    .selectFrom("account_identities")
    .select("account_id")
    .where("source", "=", source)
    .where("subject", "=", identity.subject)
    .executeTakeFirstOrThrow();
  return { id: other, isNew: false };
}

/** Under the name that they sign in with, or under one that is made of it where another account has that. */
async function createAccountFor(tx: Writer, { source, identity, now }: Omit<Linking, "onboards">): Promise<Named> {
  const { displayName = "", email, restricted } = identity;
  const account = { passwordHash: "", administrator: false, createdAt: now, displayName, email, restricted };
  for (const name of namesFor(source, identity)) {
    const id = randomUUID();
    if (await createAccount(tx, { ...account, id, name })) return { id, name };
  }
  throw new Error("all names of an identity are taken");
}

const marks = /\p{M}/gu;
const suffixCharacters = 8;
const mostNameCharacters = 64;

/**
 * The names that an identity's account may have, the first that is free: the same ones each time, and in the end one
 * that is nobody else's, as it holds a hash of source and subject.
 */
function* namesFor(source: string, { name, subject }: Identity): Generator<AccountName> {
  const plain = name
    .normalize("NFKD")
    .replaceAll(marks, "")
    .replaceAll("ß", "ss")
    .replaceAll(/[^a-z0-9._@+-]+/g, "-")
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  const own = plain === name ? parseAccountName(name) : undefined;
  if (own !== undefined) yield own;
  const hash = createHash("sha256")
    .update(JSON.stringify([source, subject]))
    .digest("hex");
  for (const length of [suffixCharacters, hash.length - 1]) {
    const suffix = hash.slice(0, length);
    const beginning = plain.slice(0, Math.max(0, mostNameCharacters - length - 1));
    const made = parseAccountName(beginning === "" ? suffix : `${beginning}-${suffix}`);
    if (made !== undefined) yield made;
  }
}

/** Which source knows the account of a name; `undefined` for one that has a password of its own, and for none. */
export async function sourceOfAccount(database: Database, name: string): Promise<string | undefined> {
  const parsed = parseAccountName(name);
  const account = parsed && (await findAccountByName(database, parsed));
  if (account === undefined || account.passwordHash !== "") return undefined;
  const row = await database.read
    .selectFrom("account_identities")
    .select("source")
    .where("account_id", "=", account.id)
    .orderBy("linked_at")
    .executeTakeFirst();
  return row?.source;
}
