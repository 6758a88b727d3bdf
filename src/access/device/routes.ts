import { fail } from "../../oci/problem.ts";
import { accountOfCaller } from "../account-of-caller.ts";
import { toTime } from "../api/parameters.ts";
import { type Route, route } from "../api/route.ts";
import { decideDevice, showDevice } from "./contract.ts";
import { createDeviceSignIns, type DeviceSignInsDeps } from "./device-sign-ins.ts";
import { parseUserCode } from "./user-code.ts";

export const deviceRoutes = (deps: DeviceSignInsDeps): readonly Route[] => {
  const { database } = deps;
  const deviceSignIns = createDeviceSignIns(deps);
  return [
    route(showDevice, async ({ params, caller, remoteAddress }) => {
      const looking = { account: await accountOfCaller(database, caller), remoteAddress };
      const found = (await deviceSignIns.find(parseUserCode(params.code), looking)) ?? failUnknown();
      return { ...found, askedAt: toTime(found.askedAt) };
    }),
    route(decideDevice, async ({ params, body, caller, remoteAddress }) => {
      const looking = { account: await accountOfCaller(database, caller), remoteAddress };
      const isLetIn = body.decision === "approve";
      if (!(await deviceSignIns.decide(parseUserCode(params.code), looking, isLetIn))) failUnknown();
      return undefined;
    }),
  ];
};

const failUnknown = (): never => fail({ code: "OBJECT_UNKNOWN", what: "device that waits" });
