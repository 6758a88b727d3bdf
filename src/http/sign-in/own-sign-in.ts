import { principalOf } from "../../access/accounts.ts";
import { signInByPassword } from "../../access/sessions/sign-in-by-password.ts";
import { fail, RegistryError } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { endedCookie, readSessionCookie, requireOwnPage, sessionCookie } from "../api/session-cookie.ts";
import { ownOrigin } from "../challenge.ts";
import { htmlPage } from "../html-page.ts";
import { readForm } from "../read-form.ts";
import type { RequestNotes } from "../request-record.ts";
import { returnPath, signInPath } from "./return-path.ts";
import type { SignInDeps } from "./sign-in-deps.ts";
import { signedInPage, signInPage } from "./sign-in-page.ts";

/** GET /sign-in */
export async function showSignIn(deps: SignInDeps, request: Incoming): Promise<Reply> {
  const secret = readSessionCookie(request);
  const session = secret === undefined ? undefined : await deps.sessions.use(secret, true);
  const returnTo = returnPath(request.query.get("return"));
  if (session === undefined) return signInPage({ labels: deps.browserSources.labels, returnTo });
  return returnTo === signInPath ? signedInPage(session.account.name) : onTo(returnTo);
}

const longestFormBytes = 16 * 1024;
/** What a password, a name and a code have room in. */
const longest = { name: 256, password: 4096, code: 64 };

/** POST /sign-in: name and password, of the form that `showSignIn` gives. */
export async function signInByForm(deps: SignInDeps, request: Incoming, notes: RequestNotes): Promise<Reply> {
  requireOwnPage(request, deps.publicUrl);
  const read = await readForm(request, longestFormBytes);
  if (read.kind !== "form") return fail({ code: "INPUT_INVALID", faults: [{ at: "", reason: "the body is no form" }] });
  const { form } = read;
  const field = (name: keyof typeof longest): string => (form.get(name) ?? "").slice(0, longest[name]);
  const [name, password, code] = [field("name"), field("password"), field("code").trim()];
  const returnTo = returnPath(form.get("return"));
  const { remoteAddress, requestId, scheme } = request;
  const given = { name, password, code: code === "" ? undefined : code, remoteAddress, requestId };
  try {
    const account = await signInByPassword(deps, given);
    notes.caller = { principal: principalOf(account) };
    const { secret } = await beginSession(deps, request, account);
    const cookie = sessionCookie(scheme, secret, deps.sessions.settings.longestMs);
    return onTo(returnTo, { "set-cookie": [cookie] });
  } catch (error) {
    const [problem] = error instanceof RegistryError ? error.problems : [];
    if (problem?.code !== "UNAUTHORIZED" && problem?.code !== "SECOND_FACTOR_REQUIRED") throw error;
    const { labels } = deps.browserSources;
    return signInPage({ labels, returnTo, name, wants: problem.code === "UNAUTHORIZED" ? "another-try" : "code" });
  }
}

const onTo = (location: string, headers: Reply["headers"] = {}): Reply => ({
  kind: "empty",
  status: 303,
  headers: { location, "cache-control": "no-store", ...headers },
});

/** A secret that was there before is another's, or one that somebody has put there. */
export async function beginSession(
  { sessions }: Pick<SignInDeps, "sessions">,
  request: Incoming,
  account: Parameters<SignInDeps["sessions"]["begin"]>[0],
): Promise<Awaited<ReturnType<SignInDeps["sessions"]["begin"]>>> {
  const before = readSessionCookie(request);
  if (before !== undefined) await sessions.end(before);
  return sessions.begin(account);
}

/** POST /sign-out: of the source too, where its settings say so. */
export async function signOut(deps: SignInDeps, request: Incoming): Promise<Reply> {
  requireOwnPage(request, deps.publicUrl);
  const secret = readSessionCookie(request);
  const session = secret === undefined ? undefined : await deps.sessions.use(secret, false);
  if (secret !== undefined) await deps.sessions.end(secret);
  const base = ownOrigin(deps.publicUrl, { scheme: request.scheme, host: request.headers.get("host") });
  const end =
    session === undefined || base === undefined
      ? undefined
      : await deps.browserSources.endUrl(session.account, `${base}${signInPath}`).catch(() => undefined);
  return htmlPage({
    title: "Signed out",
    onward: end ?? signInPath,
    headers: { "set-cookie": [endedCookie(request.scheme)] },
    body: `<p><a href="${signInPath}">Sign in</a></p>`,
  });
}
