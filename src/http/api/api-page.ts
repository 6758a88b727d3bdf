import { createHash } from "node:crypto";
import type { Contract, Need } from "../../access/api/contract.ts";
import type { Reply } from "../../platform/runtime/http.ts";
import { apiBase } from "./answer-call.ts";

/** The routes for people: one page without a script, made of the same contracts. */
export function apiPage(contracts: readonly Contract[]): Reply {
  const groups = [...new Set(contracts.map(({ group }) => group))];
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Berth: API</title>
<style>${style}</style>
<h1>The administration API</h1>
<p>Sign in with name and password (HTTP Basic), or by <code>POST ${apiBase}/session</code>. Bodies are JSON; members and
parameters that a route does not know are refused. What is refused is told as <code>application/problem+json</code>. For programs:
<a href="${apiBase}/openapi.json">openapi.json</a>.</p>
${groups.map((group) => section(group, contracts)).join("\n")}
</html>
`;
  return {
    kind: "bytes",
    status: 200,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    },
    body: Buffer.from(html),
  };
}

const style =
  "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}" +
  "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}" +
  "code{font-size:.9em}small{color:#555}" +
  "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td,th{border-color:#444}small{color:#aaa}a{color:#8bf}}";
const styleHash = createHash("sha256").update(style).digest("base64");

const section = (group: string, contracts: readonly Contract[]): string => `<h2>${escaped(group)}</h2>
<table>
<tr><th>Route<th>What it does<th>Needs
${contracts
  .filter((contract) => contract.group === group)
  .map(row)
  .join("\n")}
</table>`;

const row = (contract: Contract): string =>
  `<tr id="${escaped(contract.id)}"><td><code>${contract.method} ${escaped(contract.path)}</code>` +
  `<td>${escaped(contract.summary)}${inputs(contract)}<td>${escaped(needText(contract.need))}`;

function inputs({ query, body, destroys }: Contract): string {
  const parameters = [...Object.keys(query?.shape ?? {}), ...(destroys === true ? ["dryRun"] : [])];
  const parts = [
    ...(parameters.length === 0 ? [] : [`query: ${parameters.join(", ")}`]),
    ...(body === undefined ? [] : [`body: ${Object.keys(body.shape).join(", ")}`]),
  ];
  return parts.length === 0 ? "" : `<br><small>${escaped(parts.join("; "))}</small>`;
}

const needText = (need: Need): string => {
  if (need === "nothing" || need === "anyone") return "nothing";
  if (need === "person") return "an account, and no token";
  return need === "sign-in" ? "an account or robot" : `${need.verb} ${need.subject}, on the ${need.on}`;
};

const signs: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => signs[sign] ?? sign);
