import type { BrowserSources } from "../../access/sources/browser-sources.ts";
import type { Reply } from "../../platform/runtime/http.ts";
import { escaped, htmlPage } from "../html-page.ts";
import { signInPath } from "./return-path.ts";

interface Wanted extends Pick<BrowserSources, "labels"> {
  readonly returnTo: string;
  /** As it was typed before. */
  readonly name?: string;
  /** What is asked for behind a first try. */
  readonly wants?: "another-try" | "code";
}

const told = {
  "another-try": "That did not sign you in.",
  code: "This account has a second factor: a one-time code or a recovery code has to come with the password.",
} as const;

export function signInPage({ labels, returnTo, name = "", wants }: Wanted): Reply {
  const query = new URLSearchParams({ return: returnTo }).toString();
  const links = labels.map(
    ({ name: source, label }) =>
      `<p><a href="${signInPath}/${source}?${escaped(query)}">Sign in with ${escaped(label)}</a></p>`,
  );
  return htmlPage({
    title: "Sign in",
    status: wants === undefined ? 200 : 401,
    body: `${wants === undefined ? "" : `<p role="alert">${told[wants]}</p>\n`}${links.join("\n")}
<form method="post" action="${signInPath}">
<input type="hidden" name="return" value="${escaped(returnTo)}">
<label>Name <input name="name" value="${escaped(name)}" autocomplete="username" required maxlength="256"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required maxlength="4096"></label>
<label>One-time code, where the account has a second factor <input name="code" autocomplete="one-time-code" maxlength="64"></label>
<button>Sign in</button>
</form>`,
  });
}

export const signedInPage = (name: string): Reply =>
  htmlPage({
    title: "Signed in",
    body: `<p>You are signed in as ${escaped(name)}.</p>
<form method="post" action="/sign-out"><button>Sign out</button></form>`,
  });
