import { createHash } from "node:crypto";
import type { Reply, ReplyHeaders } from "../platform/runtime/http.ts";

interface HtmlPage {
  readonly title: string;
  /** Escaped where it is not ours. */
  readonly body: string;
  readonly status?: number;
  /** Where the browser goes on to by itself. */
  readonly onward?: string;
  readonly headers?: ReplyHeaders;
}

/** A page without a script. Its forms come back here, and no other site shows it as a part of its own. */
export const htmlPage = ({ title, body, status = 200, onward, headers = {} }: HtmlPage): Reply => ({
  kind: "bytes",
  status,
  headers: {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'`,
    // A browser that tells nobody where it comes from would not tell this server whose form it sends either.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    ...headers,
  },
  body: Buffer.from(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
${onward === undefined ? "" : `<meta http-equiv="refresh" content="0;url=${escaped(onward)}">\n`}<title>Berth: ${escaped(title)}</title>
<style>${style}</style>
<h1>${escaped(title)}</h1>
${body}
</html>
`),
});

const style =
  "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}" +
  "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}" +
  "code{font-size:.9em}small{color:#555}label{display:block;margin:.6rem 0}label input{display:block;width:22rem;max-width:100%;box-sizing:border-box}input,button{font:inherit;padding:.3rem .6rem}" +
  "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td,th{border-color:#444}small{color:#aaa}a{color:#8bf}}";
const styleHash = createHash("sha256").update(style).digest("base64");

const signs: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
export const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => signs[sign] ?? sign);
