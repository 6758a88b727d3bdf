import { fail, type Problem } from "../../oci/problem.ts";
import type { Authorize, Resource } from "../authorize.ts";
import type { Changer } from "../change-access.ts";
import { deniedBy } from "../denied-by.ts";
import type { Subject, Verb } from "../permissions.ts";

interface Wanted {
  readonly verb: Verb;
  readonly place: Exclude<Resource, { readonly kind: "catalog" }>;
  readonly subject: Subject;
  /** What is answered to who may not even read there, as if there were nothing. */
  readonly unknown: Problem;
}

/** @throws RegistryError UNAUTHORIZED, DENIED, or the problem for who may not know of the place */
export async function permit(
  authorize: Authorize,
  by: Changer,
  { verb, place, subject, unknown }: Wanted,
): Promise<void> {
  if (by === "operator") return;
  const decision = await authorize(by, verb, { ...place, subject });
  if (decision.allowed) return;
  if (by.principal.kind === "anonymous") fail({ code: "UNAUTHORIZED", scopes: [] });
  const isHidden = place.kind !== "instance" && !(await authorize(by, "read", place)).allowed;
  fail(isHidden ? unknown : deniedBy(decision, place.kind !== "instance"));
}
