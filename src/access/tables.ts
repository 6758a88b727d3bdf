import type { Generated, Insertable, Selectable } from "kysely";
import type { Visibility } from "../oci/visibility.ts";
import type { RankedRole } from "./roles.ts";

interface AccountsTable {
  /** Random, never used again: what outlives an account must not come to life with its name. */
  readonly id: string;
  /** As `parseAccountName` spells it. */
  readonly name: string;
  /** Empty where a source of identity knows the account, and it has no password of its own. */
  readonly password_hash: string;
  /** For servers of the version before, beside this one: what counts is a grant on the instance. */
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
  /** Whether sign-ins ask for a code beside the password. */
  readonly second_factor: Generated<number>;
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

/** Groups of sources whose people are a team's. */
interface TeamGroupsTable {
  readonly team_id: string;
  readonly source: string;
  readonly group_name: string;
  readonly created_at: number;
}

/** Who is a member of an organization by a group alone. */
interface SyncedMembersTable {
  readonly organization_id: string;
  readonly account_id: string;
  readonly created_at: number;
}

/** One row, counted up first in every transaction that can give or take a right: such changes come one after the other. */
interface AccessRevisionTable {
  readonly id: number;
  readonly revision: number;
}

interface OrganizationsTable {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly created_at: number;
  /** Counts up with every change, as those below do. */
  readonly revision: Generated<number>;
}

interface OrganizationMembersTable {
  readonly organization_id: string;
  readonly account_id: string;
  readonly role: OrganizationRole;
  readonly created_at: number;
}

interface TeamsTable {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly created_at: number;
}

interface TeamMembersTable {
  readonly team_id: string;
  readonly account_id: string;
  readonly created_at: number;
}

/** The beginning of repositories' names. One with a slash in it belongs to whom the one before the slash belongs to. */
interface NamespacesTable {
  readonly id: string;
  /** Empty for the one of names without a slash. */
  readonly name: string;
  readonly owner_kind: NamespaceOwnerKind;
  /** Empty for the instance's, and below another one. */
  readonly owner_id: string;
  /** Of repositories that are made in it; null: as the namespace above it. */
  readonly visibility: Visibility | null;
  readonly create_on_push: CreateOnPush | null;
  /** JSON: what repositories that are made in it have from the beginning. */
  readonly template: string | null;
  readonly created_at: number;
  readonly revision: Generated<number>;
}

/** Roles beside the built-in ones. */
interface RolesTable {
  readonly id: string;
  readonly name: string;
  /** JSON: a list of `subject:verb`. */
  readonly permissions: string;
  readonly created_at: number;
  readonly revision: Generated<number>;
}

interface GrantsTable {
  readonly id: string;
  readonly principal_kind: GrantedKind;
  /** Empty for everyone. */
  readonly principal_id: string;
  /** The name of a built-in role, or the id of another. */
  readonly role: string;
  readonly scope_kind: GrantScopeKind;
  /** Of the organization, namespace or repository; a pattern is one within its namespace. Empty for the instance. */
  readonly scope_id: string;
  /** Behind the namespace's name and a slash. */
  readonly pattern: string | null;
  /** Tags that it is limited to. */
  readonly tag_pattern: string | null;
  /** JSON: networks that it is limited to. */
  readonly networks: string | null;
  readonly expires_at: number | null;
  readonly created_at: number;
}

/** The least role that may create, move and delete tags of a pattern; null: the rule says nothing of that. */
interface TagProtectionsTable {
  readonly id: string;
  readonly scope_kind: "namespace" | "repository";
  readonly scope_id: string;
  readonly pattern: string;
  readonly create_role: RankedRole | null;
  readonly update_role: RankedRole | null;
  readonly delete_role: RankedRole | null;
  readonly created_at: number;
}

export type OrganizationRole = "owner" | "member";
export type NamespaceOwnerKind = "instance" | "organization" | "account" | "above";
export type GrantedKind = "account" | "team" | "robot" | "signed-in" | "anonymous";
export type GrantScopeKind = "instance" | "organization" | "namespace" | "repository" | "pattern";
/** Who makes a repository by pushing to it. */
export type CreateOnPush = "project-admins" | "developers" | "nobody";

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
  /** Whether that is so long ago that the account may only read. */
  readonly stale: number;
  readonly linked_at: number;
}

declare module "../platform/database/database.ts" {
  interface Tables {
    accounts: AccountsTable;
    login_failures: LoginFailuresTable;
    signing_keys: SigningKeysTable;
    refresh_tokens: RefreshTokensTable;
    team_groups: TeamGroupsTable;
    synced_members: SyncedMembersTable;
    access_revision: AccessRevisionTable;
    organizations: OrganizationsTable;
    organization_members: OrganizationMembersTable;
    teams: TeamsTable;
    team_members: TeamMembersTable;
    namespaces: NamespacesTable;
    roles: RolesTable;
    grants: GrantsTable;
    tag_protections: TagProtectionsTable;
    account_identities: AccountIdentitiesTable;
  }
}

export type ProtectionRow = Selectable<TagProtectionsTable>;
export type AccountRow = Selectable<AccountsTable>;
export type FailuresRow = Selectable<LoginFailuresTable>;
export type SigningKeyRow = Insertable<SigningKeysTable> & { readonly expires_at: number | null };
