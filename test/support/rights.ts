import type { Account } from "../../src/access/accounts.ts";
import { principalOf } from "../../src/access/accounts.ts";
import type { Conditions, GrantScope, NewGrant } from "../../src/access/grants/grant.ts";
import { createGrant } from "../../src/access/grants/grants.ts";
import { setMember } from "../../src/access/organizations/members.ts";
import { createOrganization } from "../../src/access/organizations/organizations.ts";
import { addToTeam, createTeam } from "../../src/access/organizations/teams.ts";
import type { Caller } from "../../src/access/principal.ts";
import { type Grant, parseScopes } from "../../src/access/scope.ts";
import type { Visibility } from "../../src/oci/visibility.ts";
import { repositoryName } from "./registry.ts";
import type { TestAccess } from "./access.ts";

export const callerOf = (account: Account): Caller => ({ principal: principalOf(account) });

/** The scopes of a token request, as text. */
export function scopesOf(text: string): readonly Grant[] {
  const parsed = parseScopes([text]);
  if (parsed.kind === "too-many") throw new Error("too many scopes");
  return parsed.scopes;
}

export const withScope = (caller: Caller, text: string): Caller => ({ ...caller, scope: scopesOf(text) });

/** `instance`, `organization acme`, `namespace acme`, `repository acme/app`, `pattern acme/*`. */
export function scopeNamed(text: string): GrantScope {
  const [kind = "", name = ""] = text.split(" ");
  switch (kind) {
    case "instance":
      return { kind };
    case "organization":
    case "namespace":
      return { kind, name };
    case "repository":
      return { kind, name: repositoryName(name) };
    case "pattern":
      return { kind, pattern: name };
    default:
      throw new Error(`no scope: ${text}`);
  }
}

/** Grants as an operator does. */
export const grant = (
  { change }: TestAccess,
  role: string,
  { to, on, ...conditions }: { readonly to: NewGrant["to"] | Account; readonly on: string } & Conditions,
): Promise<string> =>
  change((changing) =>
    createGrant(changing, {
      role,
      to: "id" in to ? { kind: "account", name: to.name } : to,
      on: scopeNamed(on),
      conditions,
    }),
  );

/** Rows of repositories, without anything in them. */
export async function addRepositories(
  { database }: TestAccess,
  visibilities: Readonly<Record<string, Visibility>>,
): Promise<void> {
  const rows = Object.entries(visibilities).map(([name, visibility]) => ({ name, visibility, created_at: 1 }));
  await database.write((tx) => tx.insertInto("repositories").values(rows).execute());
}

export interface TestOrganization {
  readonly id: string;
  readonly name: string;
}

interface Members {
  readonly owners?: readonly Account[];
  readonly members?: readonly Account[];
  readonly teams?: Readonly<Record<string, readonly Account[]>>;
}

/** With members, and teams of them by name. */
export const addOrganization = (
  { change }: TestAccess,
  name: string,
  { owners = [], members = [], teams = {} }: Members = {},
): Promise<TestOrganization> =>
  change(async (changing) => {
    const organization = await createOrganization(changing, { name });
    for (const account of owners) await setMember(changing, { organization, account, role: "owner" });
    for (const account of members) await setMember(changing, { organization, account, role: "member" });
    for (const [team, accounts] of Object.entries(teams)) {
      const made = await createTeam(changing, { organization, name: team });
      for (const account of accounts) await addToTeam(changing, { team: made, account });
    }
    return organization;
  });
