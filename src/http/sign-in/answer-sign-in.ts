import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { RequestNotes } from "../request-record.ts";
import { problemPage } from "./problem-page.ts";
import { showSignIn, signInByForm, signOut } from "./own-sign-in.ts";
import { comeBack, goToSource } from "./source-sign-in.ts";
import type { SignInDeps } from "./sign-in-deps.ts";

export type AnswerSignIn = (request: Incoming, notes: RequestNotes) => Promise<Reply>;

/** One of the pages, for one method. */
type Page = (deps: SignInDeps, request: Incoming, notes: RequestNotes) => Promise<Reply>;

const pages: Readonly<Record<string, Readonly<Record<string, Page>>>> = {
  "/sign-in": { GET: showSignIn, HEAD: showSignIn, POST: signInByForm },
  "/sign-out": { POST: signOut },
};
const sourcePath = /^\/sign-in\/([a-z0-9-]{1,32})(\/callback)?$/;

export function openSignIn(deps: SignInDeps): AnswerSignIn {
  return async (request, notes) => {
    notes.writeProblems = problemPage;
    const methods = methodsOf(request.path) ?? fail({ code: "ROUTE_UNKNOWN" });
    const page = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    const allow = Object.keys(methods);
    return (page ?? fail({ code: "METHOD_UNSUPPORTED", allow, reason: "this method does nothing here" }))(
      deps,
      request,
      notes,
    );
  };
}

function methodsOf(path: string): Readonly<Record<string, Page>> | undefined {
  if (Object.hasOwn(pages, path)) return pages[path];
  const [, source, callback] = sourcePath.exec(path) ?? [];
  if (source === undefined) return undefined;
  const page = callback === undefined ? goToSource : comeBack;
  return { GET: (deps, request, notes) => page(source, { deps, request, notes }) };
}
