import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { escaped, htmlPage } from "../html-page.ts";
import type { Told } from "../problem-reply.ts";
import { signInPath } from "./return-path.ts";

interface Refusal {
  readonly status: number;
  /** In our own words: nothing that came with the request, or from a source, is shown. */
  readonly text: string;
  readonly headers?: Reply["headers"];
}

/** What somebody sees who was not signed in. */
export const refusalPage = ({ requestId }: Incoming, { status, text, headers = {} }: Refusal): Reply =>
  htmlPage({
    title: "Not signed in",
    status,
    headers,
    body: `<p>${escaped(text)}</p>
<p><a href="${signInPath}">Try again</a></p>
<p><small>Request ${escaped(requestId)}</small></p>`,
  });

export function problemPage({ status, headers, errors: [{ message }] }: Told, request: Incoming): Reply {
  // A browser would ask for name and password by a window of its own.
  const { "www-authenticate": _, ...others } = headers;
  return refusalPage(request, { status, text: `${message}.`, headers: others });
}
