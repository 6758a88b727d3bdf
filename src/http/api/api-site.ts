import type { Site } from "../entrance.ts";
import type { AnswerApi, ApiDeps } from "./api.ts";
import { problemJson } from "./problem-json.ts";

/** The administration API. None of it is loaded before somebody asks it: most servers are only ever pulled from. */
export function apiSite(deps: ApiDeps): Site {
  let opening: Promise<AnswerApi> | undefined;
  return (request, notes) => {
    if (!request.path.startsWith("/api/") && request.path !== "/api") return undefined;
    notes.handler = "api";
    notes.writeProblems = problemJson;
    opening ??= import("./api.ts").then(({ openApi }) => openApi(deps));
    return opening.then((answer) => answer(request, notes));
  };
}
