import { sql } from "kysely";
import { openRegistry } from "../../src/cli/open-registry.ts";
import { loadConfig } from "../../src/platform/config/load-config.ts";
import type { Started } from "../servers/server.ts";
import { repository } from "./fill.ts";

export interface Crowd {
  readonly accounts: number;
  /** Ten in each organization. */
  readonly teams: number;
  /** On repositories and on patterns, to accounts and to teams. */
  readonly grants: number;
}

/** Numbers from 0 on, as a table. */
const numbers = (count: number) =>
  sql`(with recursive s(n) as (select 0 union all select n + 1 from s where n + 1 < ${sql.lit(count)}) select n from s)`;

/** Fills the database of a registry that does not run yet with people, what they are in, and what they may. */
export async function seedCrowd(data: string, { accounts, teams, grants }: Crowd): Promise<void> {
  const { database } = await openRegistry(loadConfig({ file: undefined, flags: { data }, environment: {} }));
  const organizations = sql.lit(teams / 10);
  const [ofTeams, ofGrants, repositories] = [sql.lit(teams), sql.lit(grants), sql.lit(accounts)];
  await database.write(async (tx) => {
    for (const statement of [
      sql`insert into accounts (id, name, password_hash, administrator, disabled, suspended, epoch, created_at,
          password_changed_at)
        select 'account-' || n, 'user-' || n, '', 0, 0, 0, 1, 1, 1 from ${numbers(accounts)}`,
      sql`insert into organizations (id, name, display_name, created_at)
        select 'org-' || n, 'org-' || n, '', 1 from ${numbers(teams / 10)}`,
      sql`insert into namespaces (id, name, owner_kind, owner_id, created_at)
        select 'org-' || n, 'org-' || n, 'organization', 'org-' || n, 1 from ${numbers(teams / 10)}
        union all select 'own-' || n, 'user-' || n, 'account', 'account-' || n, 1 from ${numbers(accounts)}`,
      sql`insert into organization_members (organization_id, account_id, role, created_at)
        select 'org-' || (n % ${organizations}), 'account-' || n, 'member', 1 from ${numbers(accounts)}`,
      sql`insert into teams (id, organization_id, name, created_at)
        select 'team-' || n, 'org-' || (n % ${organizations}), 'team-' || n, 1 from ${numbers(teams)}`,
      sql`insert into team_members (team_id, account_id, created_at)
        select 'team-' || (n % ${ofTeams}), 'account-' || n, 1 from ${numbers(accounts)}`,
      sql`insert into repositories (name, visibility, created_at)
        select 'org-' || (n % ${organizations}) || '/app-' || n, 'private', 1 from ${numbers(accounts)}`,
      sql`insert into grants (id, principal_kind, principal_id, role, scope_kind, scope_id, pattern, created_at)
        select 'grant-' || n, case when n % 2 = 0 then 'account' else 'team' end,
          case when n % 2 = 0 then 'account-' || (n / 10) else 'team-' || (n % ${ofTeams}) end, 'developer',
          case when n % 5 = 0 then 'pattern' else 'repository' end,
          case when n % 5 = 0 then 'org-' || (n % ${organizations}) else cast(1 + n % ${repositories} as text) end,
          case when n % 5 = 0 then 'app-' || (n % ${ofGrants}) || '*' end, 1
        from ${numbers(grants)}`,
    ]) {
      await statement.execute(tx);
    }
  });
  await database.close();
}

const name = "puller";
const password = "a-long-enough-password";
/** Of a member of a team that may pull. */
export const pullerBasic = `Basic ${btoa(`${name}:${password}`)}`;
export const privateRepository = "bench-org/app";

/** Somebody who may pull from a private repository as one of a team, and an image there that is public already. */
export async function addPuller(server: Started, tag: string): Promise<void> {
  const ask = async (method: string, path: string, body?: object): Promise<void> => {
    const answer = await fetch(`http://${server.host}/api/v1${path}`, {
      method,
      headers: { authorization: server.authorization ?? "", "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  const [organization = ""] = privateRepository.split("/", 1);
  await ask("POST", "/accounts", { name, password });
  await ask("POST", "/organizations", { name: organization });
  await ask("PUT", `/organizations/${organization}/members/${name}`, { role: "member" });
  await ask("POST", `/organizations/${organization}/teams`, { name: "dev" });
  await ask("PUT", `/organizations/${organization}/teams/dev/members/${name}`);
  const [to, on] = [
    { kind: "team", name: `${organization}/dev` },
    { kind: "namespace", name: organization },
  ];
  await ask("POST", "/grants", { role: "guest", to, on });
  await ask("POST", "/repositories", { name: privateRepository });
  const copy = { from: repository, reference: tag };
  await ask("PUT", `/repositories/${encodeURIComponent(privateRepository)}/tags/${tag}`, copy);
}
