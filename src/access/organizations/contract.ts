import { z } from "zod";
import { visibilities } from "../../oci/visibility.ts";
import { contract } from "../api/contract.ts";
import { labels, shownLabels } from "../api/labels.ts";
import { line, markdown, pageOf, pageQuery, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";

const group = "organizations";
const onInstance = { subject: "organization", on: "instance" } as const;
const onOne = { subject: "organization", on: "organization" } as const;
const ofMembers = { subject: "member", on: "organization" } as const;

const displayName = line(100).describe("as people read it");
const name = word(255);

const organization = z.object({ id: z.string(), name: z.string(), displayName: z.string(), revision: z.int() });
const params = z.strictObject({ organization: name });

export const listOrganizations = contract({
  id: "listOrganizations",
  method: "GET",
  path: "/organizations",
  group,
  summary: "List organizations, by name: all of them for who may read them all, the own ones for others",
  need: "sign-in",
  query: z.strictObject(pageQuery),
  output: pageOf(organization),
});

export const createOrganization = contract({
  id: "createOrganization",
  method: "POST",
  path: "/organizations",
  group,
  summary: "Make an organization with the namespace of its name",
  need: { verb: "create", ...onInstance },
  body: z.strictObject({
    name,
    displayName: displayName.optional(),
    owner: name.optional().describe("an account"),
    takesOver: z.boolean().optional().describe("also the repositories that are in its namespace already"),
  }),
  output: organization,
  creates: "/organizations/{name}",
  versioned: true,
});

export const showOrganization = contract({
  id: "showOrganization",
  method: "GET",
  path: "/organizations/{organization}",
  group,
  summary: "Show an organization",
  need: { verb: "read", ...onOne },
  params,
  output: organization,
  versioned: true,
});

export const renameOrganization = contract({
  id: "renameOrganization",
  method: "PUT",
  path: "/organizations/{organization}/display-name",
  group,
  summary: "Call an organization something else where people read it; its name stays",
  need: { verb: "update", ...onOne },
  params,
  body: z.strictObject({ displayName }),
  output: organization,
  versioned: true,
});

export const deleteOrganization = contract({
  id: "deleteOrganization",
  method: "DELETE",
  path: "/organizations/{organization}",
  group,
  summary: "Delete an organization that has no repositories, with its teams and what was granted on it",
  need: { verb: "delete", ...onOne },
  params,
  output: removal,
  destroys: true,
});

const role = z.enum(["owner", "member"]);
const member = z.object({ name: z.string(), role });
const memberParams = z.strictObject({ organization: name, account: name });

export const listMembers = contract({
  id: "listMembers",
  method: "GET",
  path: "/organizations/{organization}/members",
  group,
  summary: "List the members of an organization, by name",
  need: { verb: "read", ...ofMembers },
  params,
  query: z.strictObject(pageQuery),
  output: pageOf(member),
});

export const setMember = contract({
  id: "setMember",
  method: "PUT",
  path: "/organizations/{organization}/members/{account}",
  group,
  summary: "Make an account a member or an owner; an owner is project-admin of all that the organization has",
  need: { verb: "create", ...ofMembers },
  params: memberParams,
  body: z.strictObject({ role }),
  output: member,
});

export const removeMember = contract({
  id: "removeMember",
  method: "DELETE",
  path: "/organizations/{organization}/members/{account}",
  group,
  summary: "End a membership, in the organization's teams too",
  need: { verb: "delete", ...ofMembers },
  params: memberParams,
  output: removal,
  destroys: true,
});

const team = z.object({ id: z.string(), name: z.string() });
const teamParams = z.strictObject({ organization: name, team: name });
const teamMemberParams = z.strictObject({ organization: name, team: name, account: name });

export const listTeams = contract({
  id: "listTeams",
  method: "GET",
  path: "/organizations/{organization}/teams",
  group,
  summary: "List the teams of an organization, by name",
  need: { verb: "read", ...ofMembers },
  params,
  query: z.strictObject(pageQuery),
  output: pageOf(team),
});

export const createTeam = contract({
  id: "createTeam",
  method: "POST",
  path: "/organizations/{organization}/teams",
  group,
  summary: "Make a team",
  need: { verb: "create", ...ofMembers },
  params,
  body: z.strictObject({ name }),
  output: team,
  madeOnce: true,
});

export const deleteTeam = contract({
  id: "deleteTeam",
  method: "DELETE",
  path: "/organizations/{organization}/teams/{team}",
  group,
  summary: "Delete a team with what was granted to it",
  need: { verb: "delete", ...ofMembers },
  params: teamParams,
  output: removal,
  destroys: true,
});

export const listTeamMembers = contract({
  id: "listTeamMembers",
  method: "GET",
  path: "/organizations/{organization}/teams/{team}/members",
  group,
  summary: "List the members of a team, by name",
  need: { verb: "read", ...ofMembers },
  params: teamParams,
  query: z.strictObject(pageQuery),
  output: pageOf(z.object({ name: z.string() })),
});

export const addToTeam = contract({
  id: "addToTeam",
  method: "PUT",
  path: "/organizations/{organization}/teams/{team}/members/{account}",
  group,
  summary: "Put a member of the organization in a team",
  need: { verb: "create", ...ofMembers },
  params: teamMemberParams,
});

export const removeFromTeam = contract({
  id: "removeFromTeam",
  method: "DELETE",
  path: "/organizations/{organization}/teams/{team}/members/{account}",
  group,
  summary: "Take somebody out of a team",
  need: { verb: "delete", ...ofMembers },
  params: teamMemberParams,
  output: removal,
  destroys: true,
});

/** Of a description that a repository has from the beginning. */
const mostTextCharacters = 8192;

const ruled = {
  visibility: z.enum(visibilities).optional().describe("of repositories that are made in it"),
  createOnPush: z
    .enum(["project-admins", "developers", "nobody"])
    .optional()
    .describe("whose pushes make repositories"),
};
const rules = {
  ...ruled,
  template: z
    .strictObject({
      description: markdown(mostTextCharacters).nullable().optional(),
      labels: labels().nullable().optional(),
    })
    .optional()
    .describe("what repositories have that are made in it; a part that is null is as the namespace above says"),
};
const namespace = z.object({
  id: z.string(),
  name: z.string().describe("empty for the one of names without a slash, which is `/` in a path"),
  ownerKind: z.enum(["instance", "organization", "account", "above"]),
  revision: z.int(),
  ...ruled,
});
const shownNamespace = namespace.extend({
  template: z
    .object({ description: z.string().optional(), labels: shownLabels().optional() })
    .optional()
    .describe("what repositories have that are made in it"),
});
/** A template of signs that JSON writes as an escape each. */
const mostBodyBytes = 128 * 1024;
const namespaceParams = z.strictObject({ namespace: name });
const ofNamespace = { subject: "configuration", on: "namespace" } as const;

export const listNamespaces = contract({
  id: "listNamespaces",
  method: "GET",
  path: "/namespaces",
  group: "namespaces",
  summary: "List namespaces, by name",
  need: { verb: "read", subject: "configuration", on: "instance" },
  query: z.strictObject(pageQuery),
  output: pageOf(namespace),
});

export const createNamespace = contract({
  id: "createNamespace",
  method: "POST",
  path: "/namespaces",
  group: "namespaces",
  summary: "Make a namespace of the instance's, or one below another",
  need: { verb: "create", subject: "configuration", on: "instance" },
  body: z.strictObject({ name, ...rules }),
  mostBodyBytes,
  output: shownNamespace,
  creates: "/namespaces/{name}",
  versioned: true,
});

export const showNamespace = contract({
  id: "showNamespace",
  method: "GET",
  path: "/namespaces/{namespace}",
  group: "namespaces",
  summary: "Show a namespace",
  need: { verb: "read", ...ofNamespace },
  params: namespaceParams,
  output: shownNamespace,
  versioned: true,
});

export const changeNamespace = contract({
  id: "changeNamespace",
  method: "PUT",
  path: "/namespaces/{namespace}/rules",
  group: "namespaces",
  summary: "Change what holds for repositories that are made in it from now on; what is not given stays",
  need: { verb: "update", ...ofNamespace },
  params: namespaceParams,
  body: z.strictObject(rules),
  mostBodyBytes,
  output: shownNamespace,
  versioned: true,
});

export const deleteNamespace = contract({
  id: "deleteNamespace",
  method: "DELETE",
  path: "/namespaces/{namespace}",
  group: "namespaces",
  summary: "Delete a namespace with what was granted on it",
  need: { verb: "delete", ...ofNamespace },
  params: namespaceParams,
  output: removal,
  destroys: true,
});

export const setVisibility = contract({
  id: "setVisibility",
  method: "PUT",
  path: "/repositories/{repository}/visibility",
  group: "repositories",
  summary: "Say who may pull without a grant: everyone, every account, or nobody",
  need: { verb: "admin", subject: "repository", on: "repository" },
  params: z.strictObject({ repository: name }),
  body: z.strictObject({ visibility: z.enum(visibilities) }),
});

export const createRepository = contract({
  id: "createRepository",
  method: "POST",
  path: "/repositories",
  group: "repositories",
  summary: "Make an empty repository; for project-admins, and for whose pushes make repositories there",
  need: "sign-in",
  body: z.strictObject({
    name,
    visibility: z.enum(visibilities).optional().describe("what its namespace says, where it is not given"),
    description: markdown(mostTextCharacters)
      .optional()
      .describe("the template's of its namespace, where it is not given"),
    labels: labels().optional(),
  }),
  mostBodyBytes,
  output: z.object({ name: z.string() }),
  madeOnce: true,
});
