import type { Generated, Insertable, Selectable } from "kysely";

interface AccountsTable {
  /** Random, never used again: what outlives an account must not come to life with its name. */
  readonly id: string;
  /** As `parseAccountName` spells it. */
  readonly name: string;
  /** Empty where a source of identity knows the account, and it has no password of its own. */
  readonly password_hash: string;
  readonly administrator: number;
  /** By an administrator; nothing else ends it. */
  readonly disabled: number;
  /** No source of identity knows it any more; ends when one does again. */
  readonly suspended: number;
  /** Counts up with every change after which nothing that was issued before may work. */
  readonly epoch: number;
  readonly created_at: number;
  readonly password_changed_at: number;
  /** As people read it; empty where there is none. */
  readonly display_name: Generated<string>;
  readonly email: string | null;
  /** Counts up with every change that the API shows. */
  readonly revision: Generated<number>;
}

interface LoginFailuresTable {
  /** A keyed hash: what people type into the name field by mistake is often their password. */
  readonly key: string;
  readonly failures: number;
  readonly expires_at: number;
}

interface SigningKeysTable {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  /** 1, 2, 3, ...: of two servers that make the next key at once, one does. */
  readonly generation: number;
  readonly public_jwk: string;
  /** JWK, AES-256-GCM under a key derived from the instance's secret. */
  readonly sealed_private_jwk: string;
  readonly active_from: number;
  /** When the last token it signed has run out; null while it is the newest. */
  readonly expires_at: number | null;
}

interface RefreshTokensTable {
  readonly id: string;
  readonly secret_hash: string;
  readonly account_id: string;
  readonly account_epoch: number;
  readonly service: string;
  readonly created_at: number;
  readonly last_used_at: number;
  readonly expires_at: number;
}

interface AccountIdentitiesTable {
  /** The source's name. */
  readonly source: string;
  /** The source's own, which it never changes and never gives to another. */
  readonly subject: string;
  readonly account_id: string;
  /** As the source tells them; nobody is found by these. */
  readonly name: string;
  readonly display_name: string | null;
  readonly email: string | null;
  /** Whether the source knew them when it was asked last. */
  readonly active: number;
  readonly confirmed_at: number;
  readonly linked_at: number;
}

declare module "../platform/database/database.ts" {
  interface Tables {
    accounts: AccountsTable;
    login_failures: LoginFailuresTable;
    signing_keys: SigningKeysTable;
    refresh_tokens: RefreshTokensTable;
    account_identities: AccountIdentitiesTable;
  }
}

export type AccountRow = Selectable<AccountsTable>;
export type FailuresRow = Selectable<LoginFailuresTable>;
export type SigningKeyRow = Insertable<SigningKeysTable> & { readonly expires_at: number | null };
