import { sql } from "kysely";
import type { z } from "zod";
import type { Reader } from "../../platform/database/database.ts";
import { type Page, toPage } from "../../registry/repositories.ts";
import type { entry } from "./contract.ts";
import type { EntryRow } from "./tables.ts";

/** What of the entries is wanted; nothing said is everything. */
export interface EntryFilter {
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly repository?: string | undefined;
  readonly requestId?: string | undefined;
  readonly outcome?: "done" | "refused" | undefined;
}

/** Where a page ended. */
export interface EntryPlace {
  readonly at: number;
  readonly id: number;
}

/** The newest first. */
export async function findEntries(
  read: Reader,
  filter: EntryFilter,
  { after, limit }: { readonly after?: EntryPlace | undefined; readonly limit: number },
): Promise<Page<EntryRow>> {
  const { since, until, actor, action, repository, requestId, outcome } = filter;
  const further = requestId === undefined ? [] : await entriesOfRequest(read, requestId);
  const rows = await read
    .selectFrom("audit_entries")
    .selectAll()
    .$if(after !== undefined, (query) =>
      query.where(({ eb, refTuple, tuple }) => eb(refTuple("at", "id"), "<", tuple(after?.at ?? 0, after?.id ?? 0))),
    )
    .$if(since !== undefined, (query) => query.where("at", ">=", since ?? 0))
    .$if(until !== undefined, (query) => query.where("at", "<", until ?? 0))
    .$if(actor !== undefined, (query) => query.where("actor_name", "=", actor ?? ""))
    .$if(action !== undefined, (query) => query.where("action", "=", action ?? ""))
    .$if(repository !== undefined, (query) => query.where("repository", "=", repository ?? ""))
    .$if(requestId !== undefined, (query) =>
      query.where(({ eb, or }) =>
        or([eb("request_id", "=", requestId ?? ""), ...(further.length > 0 ? [eb("id", "in", further)] : [])]),
      ),
    )
    .$if(outcome === "refused", (query) => query.where("outcome", "=", sql.lit("refused")))
    .$if(outcome === "done", (query) => query.where("outcome", "=", "done"))
    .orderBy("at", "desc")
    .orderBy("id", "desc")
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

/** A request that was one of many is told by the entry for all of them. */
async function entriesOfRequest(read: Reader, requestId: string): Promise<readonly number[]> {
  const rows = await read.selectFrom("audit_requests").select("entry_id").where("request_id", "=", requestId).execute();
  return rows.map(({ entry_id }) => entry_id);
}

/** An entry as it is shown, and exported. */
export const shownEntry = (row: EntryRow): z.infer<typeof entry> => ({
  id: row.id,
  at: new Date(row.at).toISOString(),
  action: row.action,
  outcome: row.outcome,
  actor: {
    kind: row.actor_kind,
    ...(row.actor_id !== "" && { id: row.actor_id }),
    name: row.actor_name,
    ...(row.token_id !== null && { tokenId: row.token_id }),
  },
  ...(row.address !== null && { address: row.address }),
  ...(row.request_id !== null && { requestId: row.request_id }),
  ...(row.repository !== null && { repository: row.repository }),
  ...(row.target !== null && { target: row.target }),
  times: row.times,
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as addEntries wrote it
  detail: JSON.parse(row.detail) as z.infer<typeof entry>["detail"],
});
