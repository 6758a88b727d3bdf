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
  /** Whether to read what is said of the place takes that right: one who sees the place may not see all of that. */
  readonly readsSubject?: true;
}

/** @throws RegistryError UNAUTHORIZED, DENIED, or the problem for who may not know of the place */
export async function permit(
  authorize: Authorize,
  by: Changer,
  { verb, place, subject, unknown, readsSubject }: Wanted,
): Promise<void> {
  if (by === "operator") return;
  const decision = await authorize(by, verb, { ...place, subject });
  if (decision.allowed) return;
  if (by.principal.kind === "anonymous") fail({ code: "UNAUTHORIZED", scopes: [] });
  const seen = readsSubject === true ? { ...place, subject } : place;
  const isOpen = place.kind === "instance" && readsSubject !== true;
  const isHidden = !isOpen && !(await authorize(by, "read", seen)).allowed;
  fail(isHidden ? unknown : deniedBy(decision, place.kind !== "instance"));
}
