import { parseRepositoryName, parseTag } from "../oci/names.ts";
import type { Reader } from "../platform/database/database.ts";
import type { Authorize, Resource } from "./authorize.ts";
import type { Decision } from "./decide.ts";
import { parsePermission, type Verb } from "./permissions.ts";
import type { Asker } from "./principal.ts";
import { refuse } from "./refusal.ts";
import { requireAccount, requireTeam } from "./require-named.ts";
import { requireRobot, robotPrefix } from "./robots/find-robot.ts";

/** A question as people ask it. */
export interface AccessQuestion {
  /** The name of an account or robot; absent for somebody who is not signed in. */
  readonly account?: string;
  /** `organization/team`: somebody who is in it and has nothing else. */
  readonly team?: string;
  /** A verb, or `subject:verb` for other things than images. */
  readonly doing: string;
  readonly repository: string;
  readonly tag?: string;
  readonly address?: string;
}

export interface Explanation {
  readonly principal: Asker;
  readonly verb: Verb;
  readonly resource: Resource;
  readonly decision: Decision;
}

interface ExplainDeps {
  readonly read: Reader;
  readonly authorize: Authorize;
}

/** Why somebody may do a thing, or may not: what `authorize` says of it. @throws RegistryError */
export async function explain({ read, authorize }: ExplainDeps, question: AccessQuestion): Promise<Explanation> {
  const { verb, subject } = permissionIn(question.doing);
  const name =
    parseRepositoryName(question.repository) ?? refuse("invalid", `${question.repository} is no name of a repository`);
  const tag = question.tag === undefined ? undefined : parseTag(question.tag);
  if (question.tag !== undefined && tag === undefined) refuse("invalid", `${question.tag} is no tag`);
  const principal = await askerNamed(read, question);
  const resource: Resource = { kind: "repository", name, subject, tag: tag ?? { some: true } };
  const caller = { principal, ...(question.address !== undefined && { remoteAddress: question.address }) };
  return { principal, verb, resource, decision: await authorize(caller, verb, resource) };
}

function permissionIn(text: string) {
  const whole = text.includes(":") ? text : `repository:${text}`;
  const permission = parsePermission(whole) ?? refuse("invalid", `${text} is no verb, and no subject:verb`);
  const [subject, verb] = permission.split(":");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a permission is the two with a colon between them
  return { subject, verb } as {
    readonly subject: NonNullable<Extract<Resource, { kind: "repository" }>["subject"]>;
    readonly verb: Verb;
  };
}

async function askerNamed(reader: Reader, { account, team }: AccessQuestion): Promise<Asker> {
  if (team !== undefined) {
    if (account !== undefined) refuse("invalid", "ask about an account or a team, and not both");
    const { id } = await requireTeam(reader, team);
    return { kind: "team", id, name: team };
  }
  if (account === undefined) return { kind: "anonymous" };
  if (!account.startsWith(robotPrefix)) return { kind: "account", ...(await requireAccount(reader, account)) };
  const { id, name, organizationId } = await requireRobot(reader, account);
  return { kind: "robot", id, name, ...(organizationId !== undefined && { organizationId }) };
}
