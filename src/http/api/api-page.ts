import type { Contract, Need } from "../../access/api/contract.ts";
import type { Reply } from "../../platform/runtime/http.ts";
import { escaped, htmlPage } from "../html-page.ts";
import { apiBase } from "./answer-call.ts";

/** The routes for people: one page without a script, made of the same contracts. */
export const apiPage = (contracts: readonly Contract[]): Reply =>
  htmlPage({
    title: "The administration API",
    body: `<p>Sign in with name and password (HTTP Basic), or by <code>POST ${apiBase}/session</code>. Bodies are JSON; members and
parameters that a route does not know are refused. What is refused is told as <code>application/problem+json</code>. For programs:
<a href="${apiBase}/openapi.json">openapi.json</a>.</p>
${groupsOf(contracts)
  .map((group) => section(group, contracts))
  .join("\n")}`,
  });

const groupsOf = (contracts: readonly Contract[]): readonly string[] => [
  ...new Set(contracts.map(({ group }) => group)),
];

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
