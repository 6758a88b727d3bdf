import { principalOf } from "../../access/accounts.ts";
import type { BrowserSignIn } from "../../access/sources/browser-sources.ts";
import type { BroughtBack } from "../../access/sources/source.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { sessionCookie } from "../api/session-cookie.ts";
import { ownOrigin } from "../challenge.ts";
import { escaped, htmlPage } from "../html-page.ts";
import type { RequestNotes } from "../request-record.ts";
import { beginSession } from "./own-sign-in.ts";
import { endedPendingCookie, pendingCookie, readPendingCookie } from "./pending-cookie.ts";
import { refusalPage } from "./problem-page.ts";
import { returnPath } from "./return-path.ts";
import type { SignInDeps } from "./sign-in-deps.ts";

interface Asked {
  readonly deps: SignInDeps;
  readonly request: Incoming;
  readonly notes: RequestNotes;
}

/** GET /sign-in/SOURCE: on to the source, with what is needed to know who comes back. */
export async function goToSource(source: string, { deps, request }: Asked): Promise<Reply> {
  const { scheme, query, headers } = request;
  const base = ownOrigin(deps.publicUrl, { scheme, host: headers.get("host") }) ?? fail({ code: "HOST_INVALID" });
  const { url, pending } = await deps.browserSources.begin(source, `${base}/sign-in/${source}/callback`);
  const kept = { ...pending, source, returnTo: returnPath(query.get("return")) };
  const cookie = pendingCookie({ key: deps.pendingKey, now: deps.now }, scheme, kept);
  return {
    kind: "empty",
    status: 303,
    headers: { location: url, "set-cookie": [cookie], "cache-control": "no-store", "referrer-policy": "no-referrer" },
  };
}

/** GET /sign-in/SOURCE/callback: back from the source, in the browser that went there. */
export async function comeBack(source: string, { deps, request, notes }: Asked): Promise<Reply> {
  const { scheme, remoteAddress, requestId } = request;
  const kept = readPendingCookie({ key: deps.pendingKey, now: deps.now }, request);
  const brought = broughtBack(request.query);
  if (kept === undefined || kept.source !== source || brought === undefined || brought.state !== kept.state)
    return refusalPage(request, { status: 400, text: notBegun, headers: ended(scheme) });
  const signedIn = await deps.browserSources.finish(source, kept, brought);
  const account = signedIn.kind === "account" ? signedIn.account : undefined;
  deps.onSignIn({ source, account, remoteAddress, requestId });
  if (signedIn.kind !== "account") {
    const reason = signedIn.kind === "refused" ? signedIn.why : signedIn.kind;
    deps.log.warn("sign-in refused", { source, reason, requestId });
    return refusalPage(request, { status: 403, text: told[signedIn.kind], headers: ended(scheme) });
  }
  notes.caller = { principal: principalOf(signedIn.account) };
  const { secret } = await beginSession(deps, request, signedIn.account);
  const session = sessionCookie(scheme, secret, deps.sessions.settings.longestMs);
  // The browser came from elsewhere, so it would not send the session's cookie if it were sent on from here.
  return htmlPage({
    title: "Signed in",
    onward: kept.returnTo,
    headers: { "set-cookie": [session, endedPendingCookie(scheme)] },
    body: `<p>You are signed in as ${escaped(signedIn.account.name)}. <a href="${escaped(kept.returnTo)}">Go on</a></p>`,
  });
}

const ended = (scheme: Incoming["scheme"]): Reply["headers"] => ({ "set-cookie": [endedPendingCookie(scheme)] });

const notBegun = "This sign-in was not begun in this browser, or too long ago.";

const told: Readonly<Record<Exclude<BrowserSignIn["kind"], "account">, string>> = {
  refused: "You were not signed in there, or what was said of you cannot be used here. The registry's log says why.",
  stranger:
    "You have no account here, and this registry makes none at the first sign-in. Its administrators can make one.",
  disabled: "Your account here is disabled.",
  "second-factor": "Your account here has a password and a second factor of its own: sign in with these.",
};

/** `undefined` where something is there twice. */
function broughtBack(query: URLSearchParams): BroughtBack | undefined {
  const names = ["code", "state", "iss", "error"];
  if (names.some((name) => query.getAll(name).length > 1)) return undefined;
  const [code, state, issuer, error] = names.map((name) => query.get(name) ?? undefined);
  return { code, state, issuer, error };
}
