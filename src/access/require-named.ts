import { fail, type Problem } from "../oci/problem.ts";
import type { Reader, Writer } from "../platform/database/database.ts";
import { parseAccountName } from "./account-name.ts";
import { refuse } from "./refusal.ts";

export interface Named {
  readonly id: string;
  readonly name: string;
}

/** @throws RegistryError */
export async function requireAccount(reader: Reader | Writer, text: string): Promise<Named> {
  const name = parseAccountName(text);
  const row =
    name === undefined
      ? undefined
      : await reader.selectFrom("accounts").select(["id", "name"]).where("name", "=", name).executeTakeFirst();
  return row ?? refuse("unknown", `account ${text}`);
}

/** @throws RegistryError */
export async function requireOrganization(reader: Reader | Writer, name: string): Promise<Named> {
  const row = await reader
    .selectFrom("organizations")
    .select(["id", "name"])
    .where("name", "=", name)
    .executeTakeFirst();
  return row ?? refuse("unknown", `organization ${name}`);
}

export interface NamedTeam extends Named {
  readonly organization: Named;
}

/** What is answered to who may not know of a team, too. */
export const unknownTeam = (text: string): Problem => ({
  code: "OBJECT_UNKNOWN",
  what: `team ${text}; a team is named organization/team`,
});

/** `organization/team`. @throws RegistryError */
export async function requireTeam(reader: Reader | Writer, text: string): Promise<NamedTeam> {
  const slash = text.indexOf("/");
  const row = await reader
    .selectFrom("teams")
    .innerJoin("organizations", "organizations.id", "teams.organization_id")
    .select([
      "teams.id",
      "teams.name",
      "organizations.id as organization_id",
      "organizations.name as organization_name",
    ])
    .where("organizations.name", "=", text.slice(0, Math.max(0, slash)))
    .where("teams.name", "=", text.slice(slash + 1))
    .executeTakeFirst();
  if (row === undefined) return fail(unknownTeam(text));
  const { id, name, organization_id, organization_name } = row;
  return { id, name, organization: { id: organization_id, name: organization_name } };
}
