import { z } from "zod";
import { contract } from "../api/contract.ts";
import { pageOf, pageQuery, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";
import { ladder } from "../roles.ts";

const group = "rights";
const name = word(255);
const role = z.enum(ladder).optional();
const rule = {
  pattern: word(128).describe("of tags: `*` is any text"),
  roles: z
    .strictObject({ create: role, update: role, delete: role })
    .describe("the least role that may do it; of what is not named the rule says nothing"),
};
const protection = z.object({ id: z.string(), ...rule });
const ofNamespace = { subject: "protection", on: "namespace" } as const;
const ofRepository = { subject: "protection", on: "repository" } as const;
const namespaceParams = z.strictObject({ namespace: name });
const repositoryParams = z.strictObject({ repository: name });

export const listNamespaceProtections = contract({
  id: "listNamespaceProtections",
  method: "GET",
  path: "/namespaces/{namespace}/protections",
  group,
  summary: "List the rules that protect tags in a namespace, by id",
  need: { verb: "read", ...ofNamespace },
  params: namespaceParams,
  query: z.strictObject(pageQuery),
  output: pageOf(protection),
});

export const protectInNamespace = contract({
  id: "protectInNamespace",
  method: "POST",
  path: "/namespaces/{namespace}/protections",
  group,
  summary: "Protect tags in all repositories of a namespace; of several rules the most restrictive counts",
  need: { verb: "create", ...ofNamespace },
  params: namespaceParams,
  body: z.strictObject(rule),
  output: protection,
  madeOnce: true,
});

export const listRepositoryProtections = contract({
  id: "listRepositoryProtections",
  method: "GET",
  path: "/repositories/{repository}/protections",
  group,
  summary: "List the rules that protect tags in a repository alone, by id",
  need: { verb: "read", ...ofRepository },
  params: repositoryParams,
  query: z.strictObject(pageQuery),
  output: pageOf(protection),
});

export const protectInRepository = contract({
  id: "protectInRepository",
  method: "POST",
  path: "/repositories/{repository}/protections",
  group,
  summary: "Protect tags in a repository; of several rules the most restrictive counts",
  need: { verb: "create", ...ofRepository },
  params: repositoryParams,
  body: z.strictObject(rule),
  output: protection,
  madeOnce: true,
});

export const deleteProtection = contract({
  id: "deleteProtection",
  method: "DELETE",
  path: "/protections/{protection}",
  group,
  summary: "Take a rule away that protects tags",
  need: "sign-in",
  params: z.strictObject({ protection: word(64) }),
  output: removal,
  destroys: true,
});
