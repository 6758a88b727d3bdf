import type { JsonObject } from "../../oci/json.ts";
import { parseNetwork } from "../../platform/net/networks.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import type { AccessChange } from "../change-access.ts";
import { hashOfToken, makeOpaqueToken } from "../opaque-token.ts";
import type { TokenScope } from "../principal.ts";
import { refuse } from "../refusal.ts";
import { requireAllGrantedTo, requireAsMuchAs } from "../require-held.ts";
import { listIn } from "../held.ts";
import type { TokenOwnerKind, TokenRow, TokenState } from "./tables.ts";
import { tokenPrefixes } from "./token-prefixes.ts";
import { formatTokenScope, isWithin, tokenScopesIn } from "./token-scopes.ts";

export interface Owner {
  readonly kind: TokenOwnerKind;
  readonly id: string;
  readonly name: string;
}

/** How long tokens live where nobody says, and at the most. */
export interface TokenLimits {
  readonly defaultDays: number;
  readonly maximumDays: number;
}

export interface NewToken {
  readonly owner: Owner;
  readonly name: string;
  /** Absent: the owner's rights alone count. */
  readonly scopes?: readonly TokenScope[];
  readonly networks?: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
}

/** The text is shown this once. */
export interface MadeToken {
  readonly id: string;
  readonly text: string;
  readonly expiresAt: number;
}

const dayMs = 24 * 60 * 60_000;
const mostOfOwner = 100;
const mostNetworks = 64;

/** @throws RegistryError */
export async function createToken(change: AccessChange, limits: TokenLimits, wanted: NewToken): Promise<MadeToken> {
  const { now } = change;
  const { owner, name, scopes, networks } = wanted;
  const shown = await shownToken(change);
  const expiresAt = wanted.expiresAt ?? Math.min(now + limits.defaultDays * dayMs, shown?.expiresAt ?? Infinity);
  requireName(name);
  requireNetworks(networks);
  if (expiresAt <= now) refuse("invalid", "the end of the token has passed");
  if (expiresAt > now + limits.maximumDays * dayMs) {
    refuse("invalid", `a token is good for ${String(limits.maximumDays)} days at most (access.tokens.maximumDays)`);
  }
  if (shown !== undefined) requireNotWider(shown, { owner, scopes, networks, expiresAt });
  await requireActingAs(change, owner);
  return insertToken(change, { owner, name, scopes, networks, expiresAt }, "token-created");
}

function requireName(name: string): void {
  // oxlint-disable-next-line no-control-regex
  if (name === "" || name.length > 100 || !name.isWellFormed() || /[\x00-\x1f\x7f]/.test(name)) {
    refuse("invalid", "a token's name is a line of 1 to 100 characters");
  }
}

function requireNetworks(networks: readonly string[] | undefined): void {
  if (networks === undefined) return;
  if (networks.length === 0 || networks.length > mostNetworks) {
    refuse("invalid", `a token names 1 to ${String(mostNetworks)} networks`);
  }
  const wrong = networks.find((text) => parseNetwork(text) === undefined);
  if (wrong !== undefined) refuse("invalid", `${wrong} is no network, such as 10.0.0.0/8`);
}

/** The token that whoever makes a change has shown. */
interface ShownToken {
  readonly scopes: readonly TokenScope[] | undefined;
  readonly networks: readonly string[] | undefined;
  readonly expiresAt: number;
}

async function shownToken({ tx, by }: AccessChange): Promise<ShownToken | undefined> {
  const id = by === "operator" ? undefined : (by.tokenId ?? by.ruleId);
  if (id === undefined) return undefined;
  const row = await tx.selectFrom("tokens").selectAll().where("id", "=", id).executeTakeFirst();
  return row === undefined
    ? { scopes: [], networks: [], expiresAt: Infinity }
    : { ...limitsIn(row), expiresAt: row.expires_at };
}

const limitsIn = ({ scopes, networks }: Pick<TokenRow, "scopes" | "networks">) => ({
  scopes: scopes === null ? undefined : tokenScopesIn(scopes),
  networks: networks === null ? undefined : listIn(networks),
});

/**
 * What a leaked token has made would outlive it: a personal token makes no other, and what it makes of robots' can no more
 * than it can itself, from no further away and for no longer. Another issuer's token makes none.
 * @throws RegistryError
 */
function requireNotWider(shown: ShownToken, wanted: Omit<Stored, "name">): void {
  const { owner, scopes, networks, expiresAt } = wanted;
  if (owner.kind === "account") refuse("forbidden", "a token makes no personal tokens: sign in with a password");
  const isWithinScopes = shown.scopes === undefined || (scopes !== undefined && isWithin(scopes, shown.scopes));
  const from = shown.networks === undefined ? undefined : new Set(shown.networks);
  const isWithinNetworks = from === undefined || (networks !== undefined && networks.every((one) => from.has(one)));
  if (!isWithinScopes) refuse("forbidden", "a token makes no secret that can more than it can itself");
  if (!isWithinNetworks)
    refuse("forbidden", "a token that is limited to networks makes secrets for some of those alone");
  if (expiresAt > shown.expiresAt)
    refuse("forbidden", "a token makes no secret that is good for longer than it is itself");
}

/** Whoever has a token of somebody can act as them. @throws RegistryError */
async function requireActingAs(change: AccessChange, owner: Owner): Promise<void> {
  const { by, tx } = change;
  if (by === "operator" || (by.principal.kind === owner.kind && by.principal.id === owner.id)) return;
  if (owner.kind === "account") return requireAsMuchAs(change, owner);
  const row = await tx.selectFrom("robots").select("organization_id").where("id", "=", owner.id).executeTakeFirst();
  const organizationId = row?.organization_id ?? undefined;
  await requireAllGrantedTo(change, { ...owner, ...(organizationId !== undefined && { organizationId }) });
}

interface Stored {
  readonly owner: Owner;
  readonly name: string;
  readonly scopes: readonly TokenScope[] | undefined;
  readonly networks: readonly string[] | undefined;
  readonly expiresAt: number;
}

async function insertToken(
  change: AccessChange,
  { owner, name, scopes, networks, expiresAt }: Stored,
  action: "token-created" | "token-rotated",
): Promise<MadeToken> {
  const { tx, now } = change;
  await makeRoom(change, owner);
  const token = makeOpaqueToken(tokenPrefixes[owner.kind]);
  await tx
    .insertInto("tokens")
    .values({
      id: token.id,
      owner_kind: owner.kind,
      owner_id: owner.id,
      name,
      secret_hash: hashOfToken(token),
      scopes: scopes === undefined ? null : JSON.stringify(scopes),
      networks: networks === undefined ? null : JSON.stringify(networks),
      state: "active",
      created_at: now,
      expires_at: expiresAt,
      last_used_at: null,
      last_used_address: null,
      replaced_by: null,
    })
    .execute();
  const after: JsonObject = {
    owner: `${owner.kind} ${owner.name}`,
    ...(scopes && { scopes: scopes.map(formatTokenScope) }),
    ...(networks && { networks: [...networks] }),
    expiresAt,
  };
  recordEvents(tx, { kind: "access-changed", action, target: { id: token.id, name }, after });
  return { id: token.id, text: token.text, expiresAt };
}

/** Those that have ended make room for others, and are listed until then. @throws RegistryError */
async function makeRoom({ tx, now }: AccessChange, { kind, id, name }: Owner): Promise<void> {
  const ofOwner = () => tx.selectFrom("tokens").select("id").where("owner_kind", "=", kind).where("owner_id", "=", id);
  const all = await ofOwner().limit(mostOfOwner).execute();
  if (all.length < mostOfOwner) return;
  const ended = await tx
    .deleteFrom("tokens")
    .where("owner_kind", "=", kind)
    .where("owner_id", "=", id)
    .where((eb) => eb.or([eb("state", "=", "revoked"), eb("expires_at", "<=", now)]))
    .returning("id")
    .execute();
  if (ended.length === 0) refuse("in-the-way", `${name} has ${String(mostOfOwner)} tokens: revoke one first`);
}

/**
 * Another secret in the place of a token's, with all that it had and for as long as it was made for. The old one is good
 * until the end of the overlap, and has had its turn: who goes on using it gets no third one. A personal token that does
 * this with itself wins no time by it, so that one which was stolen ends.
 * @throws RegistryError
 */
export async function rotateToken(
  change: AccessChange,
  limits: TokenLimits,
  { id, overlapMs }: { readonly id: string; readonly overlapMs: number },
): Promise<MadeToken & { readonly oldExpiresAt: number }> {
  const { tx, now } = change;
  const { row, owner } = await requireToken(change, id);
  if (row.state !== "active" || row.expires_at <= now) {
    refuse("in-the-way", "the token is no longer good, and so nothing takes its place: make another");
  }
  if (row.replaced_by !== null) refuse("in-the-way", `the token ${row.replaced_by} is in its place: rotate that one`);
  const limited = limitsIn(row);
  const isItself = change.by !== "operator" && change.by.tokenId === id;
  const livesMs = Math.min(row.expires_at - row.created_at, limits.maximumDays * dayMs);
  // A robot renews its own secret, as nobody else may be there to do so.
  const shown = isItself && owner.kind === "robot" ? undefined : await shownToken(change);
  const expiresAt = Math.min(now + livesMs, shown?.expiresAt ?? Infinity);
  if (!isItself) {
    if (shown !== undefined) requireNotWider(shown, { owner, ...limited, expiresAt });
    await requireActingAs(change, owner);
  }
  const oldExpiresAt = Math.min(row.expires_at, now + Math.max(0, overlapMs));
  const made = await insertToken(change, { owner, name: row.name, ...limited, expiresAt }, "token-rotated");
  const set = { expires_at: oldExpiresAt, replaced_by: made.id };
  await tx.updateTable("tokens").set(set).where("id", "=", id).execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "token-changed",
    target: { id, name: row.name },
    before: { expiresAt: row.expires_at },
    after: { expiresAt: oldExpiresAt, replacedBy: made.id },
  });
  return { ...made, oldExpiresAt };
}

/** Counts with the next request, also for what was issued for the token. What is revoked stays so. @throws RegistryError */
export async function setTokenState(
  change: AccessChange,
  { id, state }: { readonly id: string; readonly state: TokenState },
): Promise<void> {
  const { row } = await requireToken(change, id);
  if (row.state === state) return;
  if (row.state === "revoked") refuse("in-the-way", "the token is revoked for good: make another");
  await change.tx.updateTable("tokens").set({ state }).where("id", "=", id).execute();
  recordEvents(change.tx, {
    kind: "access-changed",
    action: state === "revoked" ? "token-deleted" : "token-changed",
    target: { id, name: row.name },
    before: { state: row.state },
    after: { state },
  });
}

/** @throws RegistryError */
async function requireToken({ tx }: AccessChange, id: string) {
  const row = await tx.selectFrom("tokens").selectAll().where("id", "=", id).executeTakeFirst();
  const owner = await findOwner(tx, id);
  return row === undefined || owner === undefined ? refuse("unknown", "token") : { row, owner };
}

export async function findOwner(reader: Reader | Writer, tokenId: string): Promise<Owner | undefined> {
  const row = await reader
    .selectFrom("tokens")
    .select(["owner_kind as kind", "owner_id as id"])
    .where("id", "=", tokenId)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const table = row.kind === "account" ? "accounts" : "robots";
  const found = await reader.selectFrom(table).select("name").where("id", "=", row.id).executeTakeFirst();
  return found && { ...row, name: found.name };
}
