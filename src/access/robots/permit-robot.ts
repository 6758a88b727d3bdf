import { permit } from "../api/permit.ts";
import type { Authorize } from "../authorize.ts";
import type { Changer } from "../change-access.ts";
import type { Verb } from "../permissions.ts";
import type { NamedRobot } from "./find-robot.ts";

interface Wanted {
  readonly robot: Pick<NamedRobot, "organizationId">;
  readonly verb: Verb;
}

/** An organization's robots are for whoever may see to them there. @throws RegistryError */
export const permitRobot = (authorize: Authorize, by: Changer, { robot, verb }: Wanted): Promise<void> => {
  const { organizationId: id } = robot;
  const place = id === undefined ? ({ kind: "instance" } as const) : ({ kind: "organization", id } as const);
  return permit(authorize, by, { verb, place, subject: "robot", unknown: { code: "OBJECT_UNKNOWN", what: "robot" } });
};
