import type { DeviceSignIns, DeviceSignInsDeps } from "../../access/device/device-sign-ins.ts";
import type { Sessions } from "../../access/sessions/sessions.ts";
import type { TokenLimits } from "../../access/tokens/change-tokens.ts";
import type { Site } from "../entrance.ts";
import type { AnswerDevice } from "./answer-device.ts";

export type DeviceOutcome = "begun" | "approved" | "denied" | "granted";

export interface DeviceSiteDeps extends DeviceSignInsDeps {
  readonly sessions: Sessions;
  readonly tokenLimits: TokenLimits;
  readonly publicUrl: string | undefined;
  readonly count: (outcome: DeviceOutcome) => void;
}

export interface DeviceDeps extends DeviceSiteDeps {
  readonly deviceSignIns: DeviceSignIns;
}

/** The device authorization grant (RFC 8628). None of it is loaded before somebody asks for it. */
export function deviceSite(deps: DeviceSiteDeps): Site {
  let opening: Promise<AnswerDevice> | undefined;
  return (request, notes) => {
    if (!/^\/device(?:\/|$)/.test(request.path)) return undefined;
    notes.handler = "device";
    opening ??= import("./answer-device.ts").then(({ openDevice }) => openDevice(deps));
    return opening.then((answer) => answer(request, notes));
  };
}
