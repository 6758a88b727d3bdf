import type { RepositoryName } from "../../oci/names.ts";
import { parseNetwork } from "../../platform/net/networks.ts";
import { isTagPattern, parseNamePattern } from "../pattern.ts";
import { refuse } from "../refusal.ts";
import { organizationOfRobot } from "../robots/find-robot.ts";

/** Whom something is granted to, by name: names are looked up when it is granted, and ids stored. */
export type Grantee =
  | { readonly kind: "account"; readonly name: string }
  /** `organization/team` */
  | { readonly kind: "team"; readonly name: string }
  /** `robot$name`, or `robot$organization+name` */
  | { readonly kind: "robot"; readonly name: string }
  | { readonly kind: "signed-in" }
  | { readonly kind: "anonymous" };

/** Where something is granted, by name. */
export type GrantScope =
  | { readonly kind: "instance" }
  | { readonly kind: "organization"; readonly name: string }
  | { readonly kind: "namespace"; readonly name: string }
  | { readonly kind: "repository"; readonly name: RepositoryName }
  /** A glob that begins with a namespace, the longest of which it belongs to: see `NamePattern`. */
  | { readonly kind: "pattern"; readonly pattern: string };

export interface Conditions {
  /** Reading is not limited: what is pulled by digest has no tag. */
  readonly tags?: string;
  readonly networks?: readonly string[];
  /** Milliseconds since 1970. */
  readonly until?: number;
}

export interface NewGrant {
  readonly to: Grantee;
  readonly role: string;
  readonly on: GrantScope;
  readonly conditions?: Conditions;
}

const mostNetworks = 64;

/** @throws RegistryError for conditions that cannot be */
export function requireConditions({ tags, networks, until }: Conditions, now: number): void {
  if (tags !== undefined && !isTagPattern(tags)) refuse("invalid", `${tags} is no pattern of tags`);
  if (networks !== undefined && (networks.length === 0 || networks.length > mostNetworks)) {
    refuse("invalid", `a grant names 1 to ${String(mostNetworks)} networks`);
  }
  const wrong = networks?.find((text) => parseNetwork(text) === undefined);
  if (wrong !== undefined) refuse("invalid", `${wrong} is no network, such as 10.0.0.0/8`);
  if (until !== undefined && until <= now) refuse("invalid", "the end of the grant has passed");
}

/** @throws RegistryError */
export function requirePattern(pattern: string): void {
  if (parseNamePattern(pattern) === undefined) {
    refuse("invalid", `${pattern} is no pattern: * is within a segment of a name, ** the last segment`);
  }
}

/** The longest beginning of whole segments without a glob, which may be a namespace's; empty for the root's. */
export function namespaceCandidates(pattern: string): readonly string[] {
  const segments = pattern.split("/");
  if (segments.length === 1) return [""];
  const literal = segments.slice(0, -1);
  const end = literal.findIndex((segment) => segment.includes("*"));
  const plain = end === -1 ? literal : literal.slice(0, end);
  return plain.map((_, at) => plain.slice(0, plain.length - at).join("/"));
}

/** The organization that a team or robot is one of, by its name. */
export function homeOf(to: Grantee): string | undefined {
  if (to.kind === "team") return to.name.split("/", 1)[0];
  return to.kind === "robot" ? organizationOfRobot(to.name) : undefined;
}

/** The organization that a scope would be in, if there is one of that name: it has the namespace of its name. */
export function organizationNamed(on: GrantScope): string | undefined {
  if (on.kind === "instance") return undefined;
  const [top, ...below] = (on.kind === "pattern" ? on.pattern : on.name).split("/");
  return on.kind === "repository" && below.length === 0 ? undefined : top;
}
