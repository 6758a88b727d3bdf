import type { Reader, Writer } from "../../platform/database/database.ts";
import { prepared, type Reading } from "../../platform/database/prepared.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { Principal } from "../principal.ts";
import { refuse } from "../refusal.ts";
import type { Named } from "../require-named.ts";

export const robotPrefix = "robot$";

export interface NamedRobot extends Named {
  readonly organizationId?: string;
}

/** Times are milliseconds since 1970. */
export interface Robot extends NamedRobot {
  readonly description: string;
  readonly disabled: boolean;
  /** What was issued under another epoch is void. */
  readonly epoch: number;
  readonly createdAt: number;
  readonly expiresAt?: number;
}

export const principalOfRobot = ({ id, name, organizationId }: NamedRobot): Principal => ({
  kind: "robot",
  id,
  name,
  ...(organizationId !== undefined && { organizationId }),
});

const byId = prepared((read, given: { readonly id: string }) =>
  read.selectFrom("robots").selectAll().where("id", "=", given.id),
);

export async function findRobotById(database: Reading, id: string): Promise<Robot | undefined> {
  const [row] = await byId(database, { id });
  return row && robotOf(row);
}

const byName = prepared((read, given: { readonly name: string }) =>
  read.selectFrom("robots").selectAll().where("name", "=", given.name),
);

/** As it signs in, `robot$acme+ci`, or without what all robots begin with. */
export async function findRobotByName(database: Reading, text: string): Promise<Robot | undefined> {
  const [row] = await byName(database, { name: robotNameOf(text) });
  return row && robotOf(row);
}

function robotNameOf(text: string): string {
  const lower = text.toLowerCase();
  return lower.startsWith(robotPrefix) ? lower : `${robotPrefix}${lower}`;
}

/** By the name in either form: of the organization that it is one of, if it is of any. */
export function organizationOfRobot(text: string): string | undefined {
  const name = robotNameOf(text).slice(robotPrefix.length);
  const plus = name.indexOf("+");
  return plus === -1 ? undefined : name.slice(0, plus);
}

export const robotOf = (row: Awaited<ReturnType<typeof byId>>[number]): Robot => ({
  id: row.id,
  name: row.name,
  ...(row.organization_id !== null && { organizationId: row.organization_id }),
  description: row.description,
  disabled: row.disabled === 1,
  epoch: row.epoch,
  createdAt: row.created_at,
  ...(row.expires_at !== null && { expiresAt: row.expires_at }),
});

/** As it signs in, `robot$acme+ci`, or without what all robots begin with. @throws RegistryError */
export async function requireRobot(reader: Reader | Writer, text: string): Promise<Robot> {
  const name = robotNameOf(text);
  const row = await reader.selectFrom("robots").selectAll().where("name", "=", name).executeTakeFirst();
  return row === undefined ? failUnknownRobot(name) : robotOf(row);
}

/** @throws RegistryError */
export const failUnknownRobot = (name: string): never => refuse("unknown", `robot ${name}`);

/** By name: an organization's, or all of them. */
export async function listRobots(
  reader: Reader,
  organizationId: string | undefined,
  { after, limit }: PageRequest,
): Promise<Page<Robot>> {
  const rows = await reader
    .selectFrom("robots")
    .selectAll()
    .$if(organizationId !== undefined, (query) => query.where("organization_id", "=", organizationId ?? ""))
    .where("name", ">", after ?? "")
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(robotOf), limit);
}
