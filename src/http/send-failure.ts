import type { Reply } from "../platform/runtime/http.ts";
import { storageProblem } from "../platform/storage/storage-problem.ts";
import { errorCode } from "../platform/telemetry/error-code.ts";
import type { Log } from "../platform/telemetry/log.ts";
import { problemReply } from "./problem-reply.ts";

/** The answer where a file that was there a moment ago cannot be opened when it is to be sent. */
export const sendFailure =
  (log: Log) =>
  (error: unknown): Reply => {
    const problem = storageProblem(error);
    if (problem === undefined) log.error("request failed", error);
    else log.error("storage refused", error, { code: errorCode(error) });
    const body = { errors: [{ code: "UNKNOWN", message: "internal error; the log has it" }] };
    return problem === undefined
      ? { kind: "json", status: 500, headers: {}, body }
      : problemReply([problem], () => undefined);
  };
