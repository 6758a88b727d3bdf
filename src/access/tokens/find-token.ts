import { openNetworks } from "../../platform/net/networks.ts";
import { prepared, type Reading } from "../../platform/database/prepared.ts";
import { isOut } from "../accounts.ts";
import { listIn } from "../held.ts";
import type { Caller, TokenScope } from "../principal.ts";
import type { TokenOwnerKind, TokenState } from "./tables.ts";
import { tokenScopesIn } from "./token-scopes.ts";

/** Whose a token is, as they are now. */
export interface TokenOwner {
  readonly kind: TokenOwnerKind;
  readonly id: string;
  readonly name: string;
  readonly organizationId?: string;
  readonly epoch: number;
  readonly disabled: boolean;
  /** Milliseconds since 1970. */
  readonly expiresAt: number | null;
}

/** A token with its owner, of which there is none any more where it is absent. */
export interface StoredToken {
  readonly id: string;
  readonly secretHash: string;
  readonly owner: TokenOwner | undefined;
  /** JSON */
  readonly scopes: string | null;
  /** JSON */
  readonly networks: string | null;
  readonly state: TokenState;
  readonly expiresAt: number;
  readonly lastUsedAt: number | null;
}

const byId = prepared((read, given: { readonly id: string }) =>
  read
    .selectFrom("tokens")
    .leftJoin("accounts", (join) =>
      join.onRef("accounts.id", "=", "tokens.owner_id").on("tokens.owner_kind", "=", "account"),
    )
    .leftJoin("robots", (join) => join.onRef("robots.id", "=", "tokens.owner_id").on("tokens.owner_kind", "=", "robot"))
    .select([
      "tokens.id",
      "tokens.owner_kind",
      "tokens.owner_id",
      "tokens.secret_hash",
      "tokens.scopes",
      "tokens.networks",
      "tokens.state",
      "tokens.expires_at",
      "tokens.last_used_at",
      "accounts.name as account",
      "accounts.epoch as account_epoch",
      "accounts.disabled as account_disabled",
      "accounts.suspended as account_suspended",
      "robots.name as robot",
      "robots.organization_id",
      "robots.epoch as robot_epoch",
      "robots.disabled as robot_disabled",
      "robots.expires_at as robot_expires_at",
    ])
    .where("tokens.id", "=", given.id),
);

type Row = Awaited<ReturnType<typeof byId>>[number];

/** With its owner: one query. */
export async function findToken(database: Reading, id: string): Promise<StoredToken | undefined> {
  const [row] = await byId(database, { id });
  return (
    row && {
      id: row.id,
      secretHash: row.secret_hash,
      owner: ownerIn(row),
      scopes: row.scopes,
      networks: row.networks,
      state: row.state,
      expiresAt: row.expires_at,
      lastUsedAt: row.last_used_at,
    }
  );
}

function ownerIn(row: Row): TokenOwner | undefined {
  const { owner_kind: kind, owner_id: id } = row;
  if (row.account !== null) {
    const disabled = isOut({ disabled: row.account_disabled, suspended: row.account_suspended });
    return { kind, id, name: row.account, epoch: row.account_epoch ?? 0, disabled, expiresAt: null };
  }
  if (row.robot === null) return undefined;
  return {
    kind,
    id,
    name: row.robot,
    ...(row.organization_id !== null && { organizationId: row.organization_id }),
    epoch: row.robot_epoch ?? 0,
    disabled: row.robot_disabled === 1,
    expiresAt: row.robot_expires_at,
  };
}

export type TokenFault = "unknown" | "revoked" | "disabled" | "expired" | "network" | "owner";

/** Where and when a token is shown. */
export interface Showing {
  readonly remoteAddress: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Why a token is not good, if it is not. A right that holds in some networks does not where nobody knows the address. */
export function faultOf(token: StoredToken, { remoteAddress, now }: Showing): TokenFault | undefined {
  const { owner } = token;
  if (token.state !== "active") return token.state;
  if (token.expiresAt <= now) return "expired";
  if (owner === undefined || owner.disabled || (owner.expiresAt ?? Infinity) <= now) return "owner";
  if (token.networks === null) return undefined;
  const isInside = remoteAddress !== undefined && openNetworks(listIn(token.networks)).has(remoteAddress);
  return isInside ? undefined : "network";
}

/** Its use is to be seen within about a minute, and so it is looked at again. */
export const lookAgainAfterMs = 60_000;

/** Who asks with it. */
export function callerWith(token: StoredToken, owner: TokenOwner, { remoteAddress, now }: Showing): Caller {
  const { kind, id, name, organizationId } = owner;
  const tokenScope: readonly TokenScope[] | undefined = token.scopes === null ? undefined : tokenScopesIn(token.scopes);
  return {
    principal: kind === "account" ? { kind, id, name } : { kind, id, name, ...(organizationId && { organizationId }) },
    ...(tokenScope && { tokenScope }),
    tokenId: token.id,
    ...(remoteAddress !== undefined && { remoteAddress }),
    goodUntil: Math.min(token.expiresAt, owner.expiresAt ?? Infinity, now + lookAgainAfterMs),
  };
}
