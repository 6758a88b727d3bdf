import type { z } from "zod";
import { usualItems } from "../../access/api/parameters.ts";
import { type Route, route } from "../../access/api/route.ts";
import { fail } from "../../oci/problem.ts";
import type { Database, Reader } from "../../platform/database/database.ts";
import * as contracts from "./contract.ts";
import { csvHead, csvLine } from "./csv.ts";
import { findUsage, type UsageFilter, type UsagePlace } from "./find-usage.ts";
import type { UsageRow } from "./tables.ts";

export const usageRoutes = ({ database: { read } }: { readonly database: Database }): readonly Route[] => [
  route(contracts.listUsage, async ({ query: { after, limit = usualItems, ...filter } }) => {
    const page = await findUsage(read, filter, { after: after === undefined ? undefined : requirePlace(after), limit });
    const last = page.items.at(-1);
    return { items: page.items.map(shown), ...(!page.isLast && last !== undefined && { next: nameOf(last) }) };
  }),
  route(contracts.exportUsage, async ({ query }) => csvOf(read, query)),
];

const rowsAtOnce = 1000;

/** No more of it is in memory than a page. */
async function* csvOf(read: Reader, filter: UsageFilter): AsyncGenerator<string> {
  yield csvHead;
  for (let after: UsagePlace | undefined; ;) {
    const { items, isLast } = await findUsage(read, filter, { after, limit: rowsAtOnce });
    if (items.length > 0) yield items.map((row) => csvLine(shown(row))).join("");
    after = items.at(-1);
    if (isLast || after === undefined) return;
  }
}

const shown = (row: UsageRow): z.infer<typeof contracts.usage> => ({
  day: row.day,
  kind: row.principal_kind,
  account: row.principal_name,
  ...(row.principal_id !== "" && { accountId: row.principal_id }),
  ...(row.token_id !== "" && { token: row.token_id }),
  repository: row.repository,
  pulls: row.pulls,
  pulledBytes: row.pulled_bytes,
  pushes: row.pushes,
  pushedBytes: row.pushed_bytes,
});

/** None of the four has a space in it. */
const nameOf = ({ day, repository, principal_id, token_id }: UsagePlace): string =>
  [day, repository, principal_id, token_id].join(" ");

function requirePlace(text: string): UsagePlace {
  const [day, repository, principal_id, token_id, ...more] = text.split(" ");
  if (
    day === undefined ||
    repository === undefined ||
    principal_id === undefined ||
    token_id === undefined ||
    more.length > 0
  ) {
    return fail({ code: "INPUT_INVALID", faults: [{ at: "after", reason: "must be `next` of a page" }] });
  }
  return { day, repository, principal_id, token_id };
}
