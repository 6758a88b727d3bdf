import { permit } from "../../access/api/permit.ts";
import type { Contract } from "../../access/api/contract.ts";
import type { Authorize, Resource } from "../../access/authorize.ts";
import { findNamespace, namespaceNamed } from "../../access/organizations/namespaces.ts";
import { findOrganization } from "../../access/organizations/organizations.ts";
import type { Caller } from "../../access/principal.ts";
import { parseRepositoryName } from "../../oci/names.ts";
import { fail, type Problem } from "../../oci/problem.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";

interface NeedDeps {
  readonly authorize: Authorize;
  readonly read: Reader | Writer;
}

/**
 * Whether the route's need is met. Who has not signed in is asked to; what a caller may not read is answered as if it did
 * not exist.
 * @throws RegistryError UNAUTHORIZED, DENIED, NAME_UNKNOWN, OBJECT_UNKNOWN
 */
export async function requireNeed(
  deps: NeedDeps,
  caller: Caller,
  { need, given }: Pick<Contract, "need"> & { readonly given: Readonly<Record<string, string>> },
): Promise<void> {
  if (need === "nothing" || need === "anyone") return;
  const stranger = caller.principal.kind === "anonymous" ? ({ code: "UNAUTHORIZED", scopes: [] } as const) : undefined;
  if (need === "sign-in") return stranger && fail(stranger);
  if (need === "person") {
    if (stranger !== undefined) fail(stranger);
    const isPerson = caller.principal.kind === "account" && caller.tokenId === undefined;
    return isPerson ? undefined : fail({ code: "DENIED", rule: byThemselves, missing: byThemselves });
  }
  const { place, unknown } = await placeOf(deps, need.on, given[need.on] ?? "");
  if (place === undefined) return fail(stranger ?? unknown);
  await permit(deps.authorize, caller, { verb: need.verb, place, subject: need.subject, unknown });
}

const byThemselves = "it takes a sign-in with a password: a token does not do";

interface Found {
  /** Absent where there is none of that name. */
  readonly place: Exclude<Resource, { readonly kind: "catalog" }> | undefined;
  readonly unknown: Problem;
}

async function placeOf({ read }: NeedDeps, on: Placed, given: string): Promise<Found> {
  switch (on) {
    case "instance":
      return { place: { kind: "instance" }, unknown: { code: "ROUTE_UNKNOWN" } };
    case "repository": {
      const name = parseRepositoryName(given);
      const unknown: Problem = { code: "NAME_UNKNOWN", name: given.slice(0, 255) };
      return { place: name && { kind: "repository", name, tag: { some: true } }, unknown };
    }
    case "organization": {
      const found = await findOrganization(read, given);
      return { place: found && { kind: "organization", id: found.id }, unknown: unknownOf("organization") };
    }
    case "namespace": {
      const found = await findNamespace(read, namespaceNamed(given));
      return { place: found && { kind: "namespace", name: found.name }, unknown: unknownOf("namespace") };
    }
    default:
      return on satisfies never;
  }
}

type Placed = Exclude<Contract["need"], string>["on"];

const unknownOf = (what: string): Problem => ({ code: "OBJECT_UNKNOWN", what });
