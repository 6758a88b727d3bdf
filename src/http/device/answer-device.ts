import { createDeviceSignIns } from "../../access/device/device-sign-ins.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { RequestNotes } from "../request-record.ts";
import { problemPage } from "../sign-in/problem-page.ts";
import { beginDevice, giveToken } from "./device-endpoints.ts";
import { decideByForm, showDevicePage } from "./device-page.ts";
import type { DeviceDeps, DeviceSiteDeps } from "./device-site.ts";

export type AnswerDevice = (request: Incoming, notes: RequestNotes) => Promise<Reply>;

type Answer = (deps: DeviceDeps, request: Incoming, notes: RequestNotes) => Promise<Reply>;

/** Two endpoints for devices, and a page for people. */
const answers: Readonly<Record<string, Readonly<Record<string, Answer>>>> = {
  "/device": { GET: showDevicePage, HEAD: showDevicePage, POST: decideByForm },
  "/device/authorization": { POST: beginDevice },
  "/device/token": { POST: giveToken },
};

export const openDevice = (given: DeviceSiteDeps): AnswerDevice => {
  const deps = { ...given, deviceSignIns: createDeviceSignIns(given) };
  return async (request, notes) => {
    if (request.path === "/device") notes.writeProblems = problemPage;
    const methods = Object.hasOwn(answers, request.path) ? answers[request.path] : undefined;
    if (methods === undefined) return fail({ code: "ROUTE_UNKNOWN" });
    const answer = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    const allow = Object.keys(methods);
    if (answer === undefined) fail({ code: "METHOD_UNSUPPORTED", allow, reason: "this method does nothing here" });
    return answer(deps, request, notes);
  };
};
