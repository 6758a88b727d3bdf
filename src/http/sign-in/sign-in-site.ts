import type { Site } from "../entrance.ts";
import type { AnswerSignIn } from "./answer-sign-in.ts";
import type { SignInDeps } from "./sign-in-deps.ts";

/** Pages on which people sign in with a browser. None of it is loaded before somebody asks for one. */
export function signInSite(deps: SignInDeps): Site {
  let opening: Promise<AnswerSignIn> | undefined;
  return (request, notes) => {
    if (!/^\/sign-(?:in|out)(?:\/|$)/.test(request.path)) return undefined;
    notes.handler = "sign-in";
    opening ??= import("./answer-sign-in.ts").then(({ openSignIn }) => openSignIn(deps));
    return opening.then((answer) => answer(request, notes));
  };
}
