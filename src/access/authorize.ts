import type { RepositoryName, Tag } from "../oci/names.ts";
import type { Reading } from "../platform/database/prepared.ts";
import { untilCountedUp } from "./access-revision.ts";
import { type Asking, allow, type Decision, decide, deny, type Question } from "./decide.ts";
import type { Permission, Subject, Verb } from "./permissions.ts";
import { matchesName, parseNamePattern } from "./pattern.ts";
import type { Asker, Caller, TokenScope } from "./principal.ts";
import { loadRights, type Place, type Rights } from "./rights.ts";
import type { Grant, WireAction } from "./scope.ts";

/** A place, and what on it. What nothing is said of is the place's images, or on the instance its settings. */
export type Resource =
  | {
      readonly kind: "repository";
      readonly name: RepositoryName;
      readonly subject?: Subject;
      readonly tag?: Tag | { readonly some: true };
    }
  | { readonly kind: "namespace"; readonly name: string; readonly subject?: Subject }
  | { readonly kind: "organization"; readonly id: string; readonly subject?: Subject }
  | { readonly kind: "catalog" }
  | { readonly kind: "instance"; readonly subject?: Subject };

export interface Policy {
  /** `open`: anonymous callers may do everything with repositories but administer them. */
  readonly mode: "standard" | "open";
}

/** A caller, or somebody who is only asked about. */
export type AskedAbout = Omit<Caller, "principal"> & { readonly principal: Asker };

export type Authorize = (caller: AskedAbout, verb: Verb, resource: Resource) => Promise<Decision>;

/** What was found out of a caller on a repository once, to be asked about many tags. */
export type Judge = (verb: Verb, tag: Tag) => Decision;

export interface Authorization {
  readonly authorize: Authorize;
  readonly judge: (caller: Caller, repository: RepositoryName) => Promise<Judge>;
}

export interface AuthorizeDeps {
  readonly database: Reading;
  /** The number that every change of rights counts up (`revisionWatch`). */
  readonly revision: () => Promise<number>;
  readonly policy: Policy;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The one function that decides; every entrance is handed what this returns. */
export function authorizer(deps: AuthorizeDeps): Authorization {
  const { policy, now } = deps;
  const rightsOf = rememberedRights(deps);
  const asking = ({ principal, remoteAddress }: AskedAbout, place: Place): Asking => ({
    principal,
    place,
    circumstances: { remoteAddress, now: now() },
  });
  return {
    async authorize(caller, verb, resource) {
      const ruled = ruleOf(policy, caller.principal, { verb, resource });
      if (ruled !== undefined) return within(ruled, { caller, verb, resource });
      const place = placeOf(resource);
      const rights = await rightsOf(caller.principal, place);
      const right = decide(rights, asking(caller, place), questionOf(verb, resource));
      return within(right, { caller, verb, resource });
    },
    async judge(caller, name) {
      const place: Place = { kind: "repository", name };
      const rights = policy.mode === "open" ? undefined : await rightsOf(caller.principal, place);
      return (verb, tag) => {
        const resource: Resource = { kind: "repository", name, tag };
        const right =
          ruleOf(policy, caller.principal, { verb, resource }) ??
          (rights && decide(rights, asking(caller, place), questionOf(verb, resource))) ??
          deny("no-right", "nobody administers in open mode");
        return within(right, { caller, verb, resource });
      };
    },
  };
}

interface Asked {
  readonly verb: Verb;
  readonly resource: Resource;
}

/** What needs no look at any right. */
function ruleOf({ mode }: Policy, principal: Asker, { verb, resource }: Asked): Decision | undefined {
  if (resource.kind === "catalog") {
    if (verb !== "read") return deny("catalog", "the catalog can only be read");
    if (mode === "open") return allow("open", "access is open to everyone");
    return principal.kind === "anonymous"
      ? deny("catalog", "the catalog needs sign-in")
      : allow("catalog", "whoever is signed in may list what they may read");
  }
  const isContent = resource.kind === "repository" && (resource.subject ?? "repository") === "repository";
  return mode === "open" && isContent && verb !== "admin" ? allow("open", "access is open to everyone") : undefined;
}

/** What a place's resource is about where it does not say so. */
const preset: Readonly<Record<Exclude<Resource["kind"], "catalog">, Subject>> = {
  repository: "repository",
  namespace: "configuration",
  organization: "organization",
  instance: "configuration",
};

function questionOf(verb: Verb, resource: Resource): Question {
  if (resource.kind === "catalog") return { verb, subject: "repository" };
  const subject = resource.subject ?? preset[resource.kind];
  const tag = resource.kind === "repository" ? resource.tag : undefined;
  return { verb, subject, ...(tag !== undefined && { tag }) };
}

function placeOf(resource: Resource): Place {
  switch (resource.kind) {
    case "repository":
      return { kind: "repository", name: resource.name };
    case "namespace":
      return { kind: "namespace", name: resource.name };
    case "organization":
      return { kind: "organization", id: resource.id };
    case "catalog":
    case "instance":
      return { kind: "instance" };
    default:
      return resource satisfies never;
  }
}

/**
 * What there is nothing to see of is not remembered: a repository that does not exist may be made without any right
 * being changed, and it must not be told from one that does by the time that the answer takes.
 */
function rememberedRights({ database, revision }: AuthorizeDeps): (asking: Asker, place: Place) => Promise<Rights> {
  const remember = untilCountedUp<Rights>(revision, { max: 10_000, maxSize: 100_000 });
  return (principal, place) =>
    remember(keyOf(principal, place), async () => {
      const value = await loadRights(database, principal, place);
      const isThere = place.kind !== "repository" || value.repository !== undefined;
      const isOpenToThem = value.held.length > 0 || (value.repository?.visibility ?? "private") !== "private";
      return isThere && isOpenToThem ? { value, size: 1 + value.held.length + value.protections.length } : { value };
    });
}

function keyOf(principal: Asker, place: Place): string {
  const who = principal.kind === "anonymous" ? "" : `${principal.kind} ${principal.id}`;
  const where = place.kind === "instance" ? "" : place.kind === "organization" ? place.id : place.name;
  return `${who}\n${place.kind} ${where}`;
}

/** A right counts as far as every token that was shown says so too. */
function within(right: Decision, { caller, verb, resource }: Asked & { readonly caller: AskedAbout }): Decision {
  if (!right.allowed) return right;
  const { scope, tokenScope } = caller;
  if (tokenScope !== undefined && !coversByPattern(tokenScope, verb, resource)) {
    return lacksScope("token-scope", `the personal token or robot is limited to other things than this ${verb}`);
  }
  if (scope !== undefined && !covers(scope, verb, resource)) {
    return lacksScope("scope", `the token's scope lacks ${verb}`);
  }
  return right;
}

const lacksScope = (rule: "scope" | "token-scope", text: string): Decision => ({
  allowed: false,
  because: { rule, text },
  lacking: "scope",
});

/** No token of the registry protocol carries `admin`: not even `*`, which is all that the protocol itself can do. */
const wireAction: Record<Verb, WireAction | undefined> = {
  read: "pull",
  create: "push",
  update: "push",
  delete: "delete",
  admin: undefined,
};

function covers(scope: readonly Grant[], verb: Verb, resource: Resource): boolean {
  const action = wireAction[verb];
  if (action === undefined) return false;
  switch (resource.kind) {
    case "repository":
      return (
        (resource.subject ?? "repository") === "repository" &&
        scope.some(
          ({ type, name, actions }) =>
            type === "repository" && name === resource.name && (actions.includes(action) || actions.includes("*")),
        )
      );
    case "catalog":
      return verb === "read" && scope.some(isCatalogGrant);
    case "namespace":
    case "organization":
    case "instance":
      return false;
    default:
      return resource satisfies never;
  }
}

/** `registry:catalog:*` is the one scope of its type (docker's token specification). */
export const isCatalogGrant = ({ type, name, actions }: Grant): boolean =>
  type === "registry" && name === "catalog" && actions.includes("*");

/** All of a namespace is covered by its own pattern; what is of no namespace, by the one for everything. */
function coversByPattern(tokenScope: readonly TokenScope[], verb: Verb, resource: Resource): boolean {
  if (resource.kind === "catalog") return tokenScope.some(({ permissions }) => permissions.includes("repository:read"));
  const permission: Permission = `${resource.subject ?? preset[resource.kind]}:${verb}`;
  return tokenScope.some(
    ({ pattern, permissions }) => permissions.includes(permission) && coversPlace(pattern, resource),
  );
}

function coversPlace(pattern: string, resource: Exclude<Resource, { readonly kind: "catalog" }>): boolean {
  if (pattern === "**") return true;
  if (resource.kind === "namespace") return resource.name !== "" && pattern === `${resource.name}/**`;
  const parsed = resource.kind === "repository" ? parseNamePattern(pattern) : undefined;
  return parsed !== undefined && resource.kind === "repository" && matchesName(parsed, resource.name);
}
