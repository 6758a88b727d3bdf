import type { Reader, Writer } from "../../platform/database/database.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import { listIn } from "../held.ts";
import type { Owner } from "./change-tokens.ts";
import type { TokenOwnerKind, TokenState } from "./tables.ts";
import { formatTokenScope, tokenScopesIn } from "./token-scopes.ts";

/** A token as it is shown: everything but its secret. Times are milliseconds since 1970. */
export interface TokenShown {
  readonly id: string;
  readonly name: string;
  readonly state: TokenState | "expired";
  readonly scopes?: readonly string[];
  readonly networks?: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastUsedAt?: number;
  readonly lastUsedAddress?: string;
}

/** By id, those that have ended too. */
export async function listTokens(
  reader: Reader,
  { owner, now }: { readonly owner: Pick<Owner, "kind" | "id">; readonly now: number },
  { after, limit }: PageRequest,
): Promise<Page<TokenShown>> {
  const rows = await reader
    .selectFrom("tokens")
    .selectAll()
    .where("owner_kind", "=", owner.kind)
    .where("owner_id", "=", owner.id)
    .where("id", ">", after ?? "")
    .orderBy("id")
    .limit(limit + 1)
    .execute();
  const shown = rows.map((row): TokenShown => ({
    id: row.id,
    name: row.name,
    state: row.state !== "revoked" && row.expires_at <= now ? "expired" : row.state,
    ...(row.scopes !== null && { scopes: tokenScopesIn(row.scopes).map(formatTokenScope) }),
    ...(row.networks !== null && { networks: listIn(row.networks) }),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    ...(row.last_used_at !== null && { lastUsedAt: row.last_used_at }),
    ...(row.last_used_address !== null && { lastUsedAddress: row.last_used_address }),
  }));
  return toPage(shown, limit);
}

/** With whom they belong to. */
export async function deleteTokensOf(tx: Writer, kind: TokenOwnerKind, id: string): Promise<void> {
  await tx.deleteFrom("tokens").where("owner_kind", "=", kind).where("owner_id", "=", id).execute();
}

export async function countTokens(tx: Writer, kind: TokenOwnerKind, id: string): Promise<number> {
  const { count } = await tx
    .selectFrom("tokens")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("owner_kind", "=", kind)
    .where("owner_id", "=", id)
    .executeTakeFirstOrThrow();
  return count;
}
