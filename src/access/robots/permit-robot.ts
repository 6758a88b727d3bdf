import { fail } from "../../oci/problem.ts";
import { permit } from "../api/permit.ts";
import type { Authorize } from "../authorize.ts";
import type { Changer } from "../change-access.ts";
import { deniedBy } from "../denied-by.ts";
import type { Verb } from "../permissions.ts";
import type { Named } from "../require-named.ts";
import { failUnknownRobot, type NamedRobot } from "./find-robot.ts";

const placeOf = (id: string | undefined) =>
  id === undefined ? ({ kind: "instance" } as const) : ({ kind: "organization", id } as const);

/** An organization's robots are for whoever may see to them there. @throws RegistryError */
export const permitRobotsOf = (
  authorize: Authorize,
  by: Changer,
  { organization, verb }: { readonly organization: Named | undefined; readonly verb: Verb },
): Promise<void> => {
  const unknown = { code: "OBJECT_UNKNOWN", what: `organization ${organization?.name ?? ""}` } as const;
  return permit(authorize, by, { verb, place: placeOf(organization?.id), subject: "robot", unknown });
};

/** One that somebody may not see is as if it were not there. @throws RegistryError */
export async function permitRobot(
  authorize: Authorize,
  by: Changer,
  { robot, verb }: { readonly robot: NamedRobot; readonly verb: Verb },
): Promise<void> {
  if (by === "operator") return;
  const place = { ...placeOf(robot.organizationId), subject: "robot" } as const;
  const decision = await authorize(by, verb, place);
  if (decision.allowed) return;
  if (!(await authorize(by, "read", place)).allowed) failUnknownRobot(robot.name);
  fail(deniedBy(decision, true));
}
