import type { Contract } from "../../access/api/contract.ts";
import type { Authorize, Resource } from "../../access/authorize.ts";
import type { Caller } from "../../access/principal.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import { deniedBy } from "../denied-by.ts";

/**
 * Whether the route's need is met. Who has not signed in is asked to; what a caller may not read is answered as if it did
 * not exist.
 * @throws RegistryError UNAUTHORIZED, DENIED, NAME_UNKNOWN
 */
export async function requireNeed(
  authorize: Authorize,
  caller: Caller,
  { need, given }: Pick<Contract, "need"> & { readonly given: Readonly<Record<string, string>> },
): Promise<void> {
  if (need === "nothing") return;
  const isStranger = caller.principal.kind === "anonymous";
  if (need === "sign-in") return isStranger ? failStranger() : undefined;
  const { subject } = need;
  const name = need.on === "instance" ? undefined : repositoryOf(given, isStranger);
  const resource: Resource =
    name === undefined ? { kind: "instance", subject } : { kind: "repository", name, subject, tag: { some: true } };
  const decision = await authorize(caller, need.verb, resource);
  if (decision.allowed) return;
  if (isStranger) failStranger();
  const mayRead = name !== undefined && (await authorize(caller, "read", { kind: "repository", name })).allowed;
  if (name !== undefined && !mayRead) fail({ code: "NAME_UNKNOWN", name });
  fail(deniedBy(decision, mayRead));
}

const failStranger = (): never => fail({ code: "UNAUTHORIZED", scopes: [] });

function repositoryOf({ repository = "" }: Readonly<Record<string, string>>, isStranger: boolean): RepositoryName {
  const name = parseRepositoryName(repository);
  if (name !== undefined) return name;
  return isStranger ? failStranger() : fail({ code: "NAME_UNKNOWN", name: repository.slice(0, 255) });
}
