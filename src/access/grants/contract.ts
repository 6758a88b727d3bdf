import { z } from "zod";
import { contract } from "../api/contract.ts";
import { end, pageOf, pageQuery, time, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";
import { subjects, verbs } from "../permissions.ts";

const group = "rights";
const name = word(255);
const permission = z.string().regex(new RegExp(`^(?:${subjects.join("|")}):(?:${verbs.join("|")})$`));

const role = z.object({
  name: z.string(),
  isBuiltIn: z.boolean(),
  permissions: z.array(z.string()),
  revision: z.int().describe("0 of a built-in role"),
});
const onInstance = { subject: "role", on: "instance" } as const;
const roleParams = z.strictObject({ role: name });
const permissions = z
  .array(permission)
  .min(1)
  .max(subjects.length * verbs.length);

export const listRoles = contract({
  id: "listRoles",
  method: "GET",
  path: "/roles",
  group,
  summary: "List roles with what each allows: the built-in ones on the first page, then the others by name",
  need: "sign-in",
  query: z.strictObject(pageQuery),
  output: pageOf(role),
});

export const createRole = contract({
  id: "createRole",
  method: "POST",
  path: "/roles",
  group,
  summary: "Make a role of permissions",
  need: { verb: "create", ...onInstance },
  body: z.strictObject({ name, permissions }),
  output: role,
  creates: "/roles/{name}",
  versioned: true,
});

export const showRole = contract({
  id: "showRole",
  method: "GET",
  path: "/roles/{role}",
  group,
  summary: "Show a role with what it allows",
  need: "sign-in",
  params: roleParams,
  output: role,
  versioned: true,
});

export const changeRole = contract({
  id: "changeRole",
  method: "PUT",
  path: "/roles/{role}",
  group,
  summary: "Give a role other permissions in place of its own, for everyone who has it",
  need: { verb: "update", ...onInstance },
  params: roleParams,
  body: z.strictObject({ permissions }),
  output: role,
  versioned: true,
});

export const deleteRole = contract({
  id: "deleteRole",
  method: "DELETE",
  path: "/roles/{role}",
  group,
  summary: "Delete a role that nobody has",
  need: { verb: "delete", ...onInstance },
  params: roleParams,
  output: removal,
  destroys: true,
});

const to = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("account"), name }),
  z.strictObject({ kind: z.literal("team"), name: name.describe("organization/team") }),
  z.strictObject({ kind: z.literal("robot"), name: name.describe("as it signs in") }),
  z.strictObject({ kind: z.literal("signed-in") }),
  z.strictObject({ kind: z.literal("anonymous") }),
]);
const on = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("instance") }),
  z.strictObject({ kind: z.literal("organization"), name }),
  z.strictObject({ kind: z.literal("namespace"), name: word(255).describe("`/` is that of names without a slash") }),
  z.strictObject({ kind: z.literal("repository"), name }),
  z.strictObject({ kind: z.literal("pattern"), pattern: name }),
]);

const shown = z.object({ kind: z.string(), name: z.string() });
const grant = z.object({
  id: z.string(),
  role: z.string(),
  to: shown,
  on: shown,
  tags: z.string().optional(),
  networks: z.array(z.string()).optional(),
  until: time().optional(),
});

export const listGrants = contract({
  id: "listGrants",
  method: "GET",
  path: "/grants",
  group,
  summary: "List all grants, by id",
  need: { verb: "read", subject: "grant", on: "instance" },
  query: z.strictObject({
    ...pageQuery,
    account: name.optional(),
    team: name.optional().describe("organization/team"),
    robot: name.optional().describe("as it signs in"),
  }),
  output: pageOf(grant),
});

export const listOrganizationGrants = contract({
  id: "listOrganizationGrants",
  method: "GET",
  path: "/organizations/{organization}/grants",
  group,
  summary: "List the grants on an organization, by id",
  need: { verb: "read", subject: "grant", on: "organization" },
  params: z.strictObject({ organization: name }),
  query: z.strictObject(pageQuery),
  output: pageOf(grant),
});

export const listNamespaceGrants = contract({
  id: "listNamespaceGrants",
  method: "GET",
  path: "/namespaces/{namespace}/grants",
  group,
  summary: "List the grants on a namespace, by id; those on patterns in it with `patterns=true`",
  need: { verb: "read", subject: "grant", on: "namespace" },
  params: z.strictObject({ namespace: name }),
  query: z.strictObject({ ...pageQuery, patterns: z.enum(["true", "false"]).optional() }),
  output: pageOf(grant),
});

export const listRepositoryGrants = contract({
  id: "listRepositoryGrants",
  method: "GET",
  path: "/repositories/{repository}/grants",
  group,
  summary: "List the grants on one repository alone, by id",
  need: { verb: "read", subject: "grant", on: "repository" },
  params: z.strictObject({ repository: name }),
  query: z.strictObject(pageQuery),
  output: pageOf(grant),
});

export const createGrant = contract({
  id: "createGrant",
  method: "POST",
  path: "/grants",
  group,
  summary: "Give a role on a place; nobody gives more than they have there themselves",
  need: "sign-in",
  body: z.strictObject({
    role: name,
    to,
    on,
    tags: word(128).optional().describe("a pattern of tags that it is limited to"),
    networks: z.array(word(64)).min(1).max(64).optional().describe("networks that it is limited to"),
    until: end().optional(),
  }),
  output: z.object({ id: z.string(), role: z.string() }),
  madeOnce: true,
});

export const deleteGrant = contract({
  id: "deleteGrant",
  method: "DELETE",
  path: "/grants/{grant}",
  group,
  summary: "Take back what a grant gave",
  need: "sign-in",
  params: z.strictObject({ grant: word(64) }),
  output: removal,
  destroys: true,
});

export const explainAccess = contract({
  id: "explainAccess",
  method: "GET",
  path: "/access/explain",
  group,
  summary: "Why somebody may do a thing in a repository, or may not; about others, for who may read its grants",
  need: "sign-in",
  query: z.strictObject({
    account: name.optional().describe("who; absent for somebody who is not signed in"),
    team: name.optional().describe("organization/team: somebody who is in it and has nothing else"),
    doing: word(64).describe("a verb, or subject:verb"),
    repository: name,
    tag: word(128).optional(),
    address: word(64).optional().describe("from where"),
  }),
  output: z.object({
    allowed: z.boolean(),
    rule: z.string(),
    text: z.string(),
    role: z.string().optional(),
    grantId: z.string().optional(),
    missing: z.string().optional(),
  }),
});
