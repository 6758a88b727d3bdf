import { type Permission, type Subject, subjects, type Verb, verbs } from "./permissions.ts";

/**
 * What each of Harbor's five roles may do: r(ead), c(reate), u(pdate), d(elete), a(dmin). It is Harbor's own matrix but
 * for retention, whose rules delete images: they need what the deletion of an image needs. What is not here is the
 * administrator's alone.
 */
const matrix: Readonly<Partial<Record<Subject, readonly [string, string, string, string, string]>>> = {
  //             limited-guest guest developer maintainer project-admin
  repository: /*   */ ["r", "r", "rcu", "rcud", "rcuda"],
  description: /*  */ ["r", "r", "r", "ru", "ru"],
  configuration: /**/ ["r", "r", "r", "r", "rcud"],
  organization: /* */ ["r", "r", "r", "r", "rud"],
  allowlist: /*    */ ["r", "r", "r", "r", "rcud"],
  quota: /*        */ ["r", "r", "r", "r", "r"],
  scan: /*         */ ["r", "r", "r", "rcd", "rcd"],
  scanner: /*      */ ["r", "r", "r", "r", "rcud"],
  "image-label": /**/ ["r", "r", "rcd", "rcd", "rcd"],
  label: /*        */ ["r", "r", "r", "rcud", "rcud"],
  export: /*       */ ["", "", "rc", "rc", "rc"],
  member: /*       */ ["", "r", "r", "r", "rcud"],
  grant: /*        */ ["", "r", "r", "r", "rcud"],
  log: /*          */ ["", "r", "r", "r", "r"],
  upload: /*       */ ["", "", "r", "rd", "rd"],
  retention: /*    */ ["", "", "r", "rcud", "rcud"],
  immutability: /* */ ["", "", "r", "rcud", "rcud"],
  protection: /*   */ ["", "", "r", "rcud", "rcud"],
  robot: /*        */ ["", "", "", "r", "rcud"],
  webhook: /*      */ ["", "", "", "r", "rcud"],
  replication: /*  */ ["", "", "", "r", "r"],
  job: /*          */ ["", "", "", "", "r"],
};

/** From the least to the most; each has all that the one before it has. */
export const ladder = ["limited-guest", "guest", "developer", "maintainer", "project-admin", "administrator"] as const;
export type RankedRole = (typeof ladder)[number];

export const builtInRoleNames = [...ladder, "auditor"] as const;
export type BuiltInRole = (typeof builtInRoleNames)[number];

export interface Role {
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
  /** How far up the ladder it reaches: 0 where it lacks something of the lowest step. */
  readonly rank: number;
}

const letters: Readonly<Record<Verb, string>> = { read: "r", create: "c", update: "u", delete: "d", admin: "a" };

const everyPermission = subjects.flatMap((subject) => verbs.map((verb): Permission => `${subject}:${verb}`));
const ofMatrix = (column: number): readonly Permission[] =>
  subjects.flatMap((subject) =>
    verbs
      .filter((verb) => matrix[subject]?.[column]?.includes(letters[verb]) === true)
      .map((verb): Permission => `${subject}:${verb}`),
  );

const permissionsOf: Readonly<Record<BuiltInRole, ReadonlySet<Permission>>> = {
  "limited-guest": new Set(ofMatrix(0)),
  guest: new Set(ofMatrix(1)),
  developer: new Set(ofMatrix(2)),
  maintainer: new Set(ofMatrix(3)),
  "project-admin": new Set(ofMatrix(4)),
  administrator: new Set(everyPermission),
  auditor: new Set(everyPermission.filter((permission) => permission.endsWith(":read"))),
};

/** A role of these permissions; one of the operator's own stands where the highest built-in role stands that it contains. */
export function roleOf(name: string, permissions: ReadonlySet<Permission>): Role {
  const missed = ladder.findIndex((step) => !permissionsOf[step].isSubsetOf(permissions));
  return { name, permissions, rank: missed === -1 ? ladder.length : missed };
}

const builtIn: ReadonlyMap<string, Role> = new Map(
  builtInRoleNames.map((name) => [name, roleOf(name, permissionsOf[name])]),
);

export const builtInRole = (name: BuiltInRole): Role => builtIn.get(name) ?? roleOf(name, new Set());
export const findBuiltInRole = (name: string): Role | undefined => builtIn.get(name);

export const rankOf = (role: RankedRole): number => ladder.indexOf(role) + 1;

/** The lowest step that has the permission: what somebody who lacks it would have to be given. */
export const lowestRoleWith = (permission: Permission): RankedRole =>
  ladder.find((step) => permissionsOf[step].has(permission)) ?? "administrator";
