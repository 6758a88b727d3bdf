import type { Contract } from "../../access/api/contract.ts";
import type { Authorize, Resource } from "../../access/authorize.ts";
import type { Caller } from "../../access/principal.ts";
import { parseRepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";

/**
 * Whether the route's need is met. Who has not signed in is asked to; what a caller may not read is answered as if it did
 * not exist.
 * @throws RegistryError UNAUTHORIZED, DENIED, NAME_UNKNOWN
 */
export function requireNeed(
  authorize: Authorize,
  caller: Caller,
  { need, given }: Pick<Contract, "need"> & { readonly given: Readonly<Record<string, string>> },
): void {
  if (need === "nothing") return;
  const isStranger = caller.principal.kind === "anonymous";
  if (need === "sign-in") return isStranger ? failStranger() : undefined;
  const resource: Resource = need.on === "instance" ? { kind: "instance" } : repositoryOf(given, isStranger);
  const decision = authorize(caller, need.verb, resource);
  if (decision.allowed) return;
  if (isStranger) failStranger();
  if (resource.kind === "repository" && !authorize(caller, "read", resource).allowed) {
    fail({ code: "NAME_UNKNOWN", name: resource.name });
  }
  fail({ code: "DENIED", rule: decision.because });
}

const failStranger = (): never => fail({ code: "UNAUTHORIZED", scopes: [] });

function repositoryOf({ repository = "" }: Readonly<Record<string, string>>, isStranger: boolean): Resource {
  const name = parseRepositoryName(repository);
  if (name !== undefined) return { kind: "repository", name };
  return isStranger ? failStranger() : fail({ code: "NAME_UNKNOWN", name: repository.slice(0, 255) });
}
