/** `create` is a new tag, new content or a new thing; `update` moves an existing tag or changes a thing. */
export type Verb = "read" | "create" | "update" | "delete" | "admin";

export const verbs = ["read", "create", "update", "delete", "admin"] as const satisfies readonly Verb[];

/** What verbs are applied to, in a repository, a namespace, an organization or the whole instance. */
export const subjects = [
  "repository",
  "description",
  "configuration",
  "organization",
  "member",
  "grant",
  "role",
  "account",
  "source",
  "robot",
  "log",
  "quota",
  "image-label",
  "label",
  "retention",
  "immutability",
  "protection",
  "scan",
  "scanner",
  "allowlist",
  "export",
  "webhook",
  "replication",
  "upload",
  "job",
] as const;
export type Subject = (typeof subjects)[number];

/** What a role is a set of. */
export type Permission = `${Subject}:${Verb}`;

const permissions: ReadonlySet<string> = new Set(subjects.flatMap((one) => verbs.map((verb) => `${one}:${verb}`)));
const isPermission = (text: string): text is Permission => permissions.has(text);

export const parsePermission = (text: string): Permission | undefined => (isPermission(text) ? text : undefined);
