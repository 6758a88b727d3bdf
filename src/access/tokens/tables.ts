import type { Selectable } from "kysely";

export type TokenOwnerKind = "account" | "robot";
export type TokenState = "active" | "disabled" | "revoked";

/** Personal access tokens and the secrets of robots. */
interface TokensTable {
  /** Public: a part of the token's text. */
  readonly id: string;
  readonly owner_kind: TokenOwnerKind;
  readonly owner_id: string;
  readonly name: string;
  readonly secret_hash: string;
  /** JSON: a list of `TokenScope`. Null where the owner's rights alone count. */
  readonly scopes: string | null;
  /** JSON: networks that it is good from. Null where it is from everywhere. */
  readonly networks: string | null;
  readonly state: TokenState;
  readonly created_at: number;
  readonly expires_at: number;
  readonly last_used_at: number | null;
  readonly last_used_address: string | null;
  /** The token that it was rotated into. */
  readonly replaced_by: string | null;
}

interface RobotsTable {
  /** Random, never used again: what outlives a robot must not come to life with its name. */
  readonly id: string;
  /** As it signs in: `robot$name`, or `robot$organization+name`. */
  readonly name: string;
  /** Null where it is the instance's. */
  readonly organization_id: string | null;
  readonly description: string;
  readonly disabled: number;
  /** Counts up with every change after which nothing that was issued before may work. */
  readonly epoch: number;
  readonly created_at: number;
  readonly expires_at: number | null;
}

export type TokenRow = Selectable<TokensTable>;

declare module "../../platform/database/database.ts" {
  interface Tables {
    tokens: TokensTable;
    robots: RobotsTable;
  }
}
