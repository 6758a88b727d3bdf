import type { RepositoryName } from "../oci/names.ts";
import type { Caller, Principal } from "./principal.ts";
import type { Grant, WireAction } from "./scope.ts";

/** `create` is a new tag or content, `update` moves an existing tag. */
export type Verb = "read" | "create" | "update" | "delete" | "admin";

export type Resource =
  | { readonly kind: "repository"; readonly name: RepositoryName }
  | { readonly kind: "catalog" }
  | { readonly kind: "instance" };

export interface Policy {
  /** `open`: anonymous callers may do everything with repositories but administer them. */
  readonly mode: "standard" | "open";
}

/** `because` is for the log, and for those who may see it. */
export type Decision =
  | { readonly allowed: true; readonly because: string }
  | {
      readonly allowed: false;
      readonly because: string;
      /** `scope`: the same principal with a wider token would be allowed. `right`: no token changes it. */
      readonly lacking: "scope" | "right";
    };

export type Authorize = (caller: Caller, verb: Verb, resource: Resource) => Decision;

/** Repositories below it are everyone's to read. */
export const publicNamespace = "library/";

/** The one function that decides; every entrance is handed what this returns. */
export const authorizer =
  (policy: Policy): Authorize =>
  (caller, verb, resource) => {
    const right = rightOf(policy, { principal: caller.principal, verb, resource });
    if (!right.allowed || caller.scope === undefined) return right;
    return covers(caller.scope, verb, resource)
      ? right
      : { allowed: false, because: `the token's scope lacks ${verb}`, lacking: "scope" };
  };

interface Question {
  readonly principal: Principal;
  readonly verb: Verb;
  readonly resource: Resource;
}

function rightOf(policy: Policy, { principal, verb, resource }: Question): Decision {
  if (principal.kind === "account" && principal.administrator) return allow("an administrator may do everything");
  if (verb === "admin" || resource.kind === "instance") return deny("only an administrator may administer");
  if (resource.kind === "catalog" && verb !== "read") return deny("the catalog can only be read");
  if (policy.mode === "open") return allow("access is open to everyone");
  if (resource.kind === "catalog") {
    return principal.kind === "account"
      ? allow("every account may list what it may read")
      : deny("the catalog needs sign-in");
  }
  if (verb === "read" && resource.name.startsWith(publicNamespace)) return allow("library is public");
  return deny("the repository is private");
}

const allow = (because: string): Decision => ({ allowed: true, because });
const deny = (because: string): Decision => ({ allowed: false, because, lacking: "right" });

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
      return scope.some(
        ({ type, name, actions }) =>
          type === "repository" && name === resource.name && (actions.includes(action) || actions.includes("*")),
      );
    case "catalog":
      return verb === "read" && scope.some(isCatalogGrant);
    case "instance":
      return false;
    default:
      return resource satisfies never;
  }
}

/** `registry:catalog:*` is the one scope of its type (docker's token specification). */
export const isCatalogGrant = ({ type, name, actions }: Grant): boolean =>
  type === "registry" && name === "catalog" && actions.includes("*");
