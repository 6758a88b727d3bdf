import type { Visible } from "../registry/repositories.ts";
import { isCatalogGrant, type Policy, publicNamespace } from "./authorize.ts";
import type { Caller, Principal } from "./principal.ts";

/** The repositories that `authorize` would let the caller read, as a condition that an index can answer. */
export function visibleTo({ principal, scope }: Caller, policy: Policy): Visible {
  const byRight = visibleByRight(principal, policy);
  if (scope === undefined) return byRight;
  const names = scope
    .filter(({ type, actions }) => type === "repository" && (actions.includes("pull") || actions.includes("*")))
    .map(({ name }) => name);
  if (names.length === 0) return (eb) => eb.lit(false);
  return (eb) => eb.and([eb("repositories.name", "in", names), byRight(eb)]);
}

/**
 * What the catalog shows: to a token for the catalog, the names of all that its principal could get a token to read.
 * It is for names alone, as such a token opens none of them.
 */
export const listedTo = (caller: Caller, policy: Policy): Visible =>
  caller.scope?.some(isCatalogGrant) === true ? visibleByRight(caller.principal, policy) : visibleTo(caller, policy);

/** The first text after all that start with it: `/` is followed by `0`. */
const afterPublicNamespace = `${publicNamespace.slice(0, -1)}0`;

function visibleByRight(principal: Principal, policy: Policy): Visible {
  const isAdministrator = principal.kind === "account" && principal.administrator;
  if (isAdministrator || policy.mode === "open") return (eb) => eb.lit(true);
  return (eb) =>
    eb.and([eb("repositories.name", ">=", publicNamespace), eb("repositories.name", "<", afterPublicNamespace)]);
}
