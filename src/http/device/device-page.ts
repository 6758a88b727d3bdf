import { type Account, principalOf } from "../../access/accounts.ts";
import type { WaitingDevice } from "../../access/device/device-sign-ins.ts";
import { formatUserCode, parseUserCode, type UserCode } from "../../access/device/user-code.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { readSessionCookie, requireOwnPage } from "../api/session-cookie.ts";
import { escaped, htmlPage } from "../html-page.ts";
import { readForm } from "../read-form.ts";
import type { RequestNotes } from "../request-record.ts";
import { signInPath } from "../sign-in/return-path.ts";
import type { DeviceDeps } from "./device-site.ts";

const longestFormBytes = 4096;

/** GET /device: what waits under a code, for somebody who has signed in. */
export async function showDevicePage(deps: DeviceDeps, request: Incoming, notes: RequestNotes): Promise<Reply> {
  const given = request.query.get("user_code") ?? "";
  const account = await accountOf(deps, request, notes);
  if (account === undefined) return toSignIn(given);
  if (given === "") return codePage(false);
  const code = parseUserCode(given);
  const { remoteAddress } = request;
  const waiting = await deps.deviceSignIns.find(code, { account, remoteAddress });
  return code === undefined || waiting === undefined ? codePage(true) : waitingPage(code, waiting, account);
}

/** POST /device: what they have decided, on the page that `showDevicePage` gives. */
export async function decideByForm(deps: DeviceDeps, request: Incoming, notes: RequestNotes): Promise<Reply> {
  requireOwnPage(request, deps.publicUrl);
  const read = await readForm(request, longestFormBytes);
  const form = read.kind === "form" ? read.form : new URLSearchParams();
  const decision = form.get("decision");
  const account = await accountOf(deps, request, notes);
  if (account === undefined) return toSignIn(form.get("user_code") ?? "");
  if (decision !== "approve" && decision !== "deny")
    return fail({ code: "INPUT_INVALID", faults: [{ at: "decision", reason: "must be approve or deny" }] });
  const { remoteAddress } = request;
  const code = parseUserCode(form.get("user_code") ?? "");
  const isLetIn = decision === "approve";
  if (!(await deps.deviceSignIns.decide(code, { account, remoteAddress }, isLetIn))) return codePage(true);
  deps.count(isLetIn ? "approved" : "denied");
  return isLetIn
    ? htmlPage({ title: "The device is signed in", body: "<p>You can close this page, and go on there.</p>" })
    : htmlPage({ title: "The device was sent away", body: "<p>It has got nothing.</p>" });
}

async function accountOf(deps: DeviceDeps, request: Incoming, notes: RequestNotes): Promise<Account | undefined> {
  const secret = readSessionCookie(request);
  const session = secret === undefined ? undefined : await deps.sessions.use(secret, true);
  if (session !== undefined) notes.caller = { principal: principalOf(session.account) };
  return session?.account;
}

function toSignIn(given: string): Reply {
  const code = parseUserCode(given);
  const back = code === undefined ? "/device" : `/device?user_code=${formatUserCode(code)}`;
  const location = `${signInPath}?${new URLSearchParams({ return: back }).toString()}`;
  return { kind: "empty", status: 303, headers: { location, "cache-control": "no-store" } };
}

const codePage = (isWrong: boolean): Reply =>
  htmlPage({
    title: "Sign in a device",
    status: isWrong ? 404 : 200,
    body: `${isWrong ? '<p role="alert">Nothing waits under this code, or no longer.</p>\n' : ""}<form action="/device">
<label>The code that the device shows <input name="user_code" autocomplete="off" required maxlength="20"></label>
<button>Go on</button>
</form>`,
  });

const scopes: Readonly<Record<WaitingDevice["scope"], string>> = {
  images: "It will pull, push and delete images as you may.",
  everything: "It will do everything that you may, but change your password.",
};

function waitingPage(code: UserCode, { device, scope, address, askedAt }: WaitingDevice, account: Account): Reply {
  const shown = formatUserCode(code);
  return htmlPage({
    title: "Sign in a device",
    body: `<p>A device wants to be signed in as <strong>${escaped(account.name)}</strong>. ${scopes[scope]}</p>
<table>
<tr><th>It calls itself<td>${escaped(device)}
<tr><th>It has asked from<td>${escaped(address)}
<tr><th>At<td>${escaped(new Date(askedAt).toISOString())}
<tr><th>It shows the code<td><code>${shown}</code>
</table>
<p>Only go on if you have just begun this yourself, and the device shows the same code.</p>
<form method="post" action="/device">
<input type="hidden" name="user_code" value="${shown}">
<button name="decision" value="approve">Sign it in</button>
<button name="decision" value="deny">Send it away</button>
</form>`,
  });
}
