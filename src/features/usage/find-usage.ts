import type { Reader } from "../../platform/database/database.ts";
import { type Page, toPage } from "../../registry/repositories.ts";
import type { UsageRow } from "./tables.ts";

/** What of it is wanted; nothing said is everything. */
export interface UsageFilter {
  /** Days, the first one and the one behind the last. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** A name of an account or robot, or `anonymous`. */
  readonly account?: string | undefined;
  readonly token?: string | undefined;
  readonly repository?: string | undefined;
}

/** Where a page ended. */
export type UsagePlace = Pick<UsageRow, "day" | "repository" | "principal_id" | "token_id">;

/** By day, from the oldest on. */
export async function findUsage(
  read: Reader,
  { since, until, account, token, repository }: UsageFilter,
  { after, limit }: { readonly after?: UsagePlace | undefined; readonly limit: number },
): Promise<Page<UsageRow>> {
  const rows = await read
    .selectFrom("usage_days")
    .selectAll()
    .$if(after !== undefined, (query) =>
      query.where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple("day", "repository", "principal_id", "token_id"),
          ">",
          tuple(after?.day ?? "", after?.repository ?? "", after?.principal_id ?? "", after?.token_id ?? ""),
        ),
      ),
    )
    .$if(since !== undefined, (query) => query.where("day", ">=", since ?? ""))
    .$if(until !== undefined, (query) => query.where("day", "<", until ?? ""))
    .$if(account !== undefined, (query) => query.where("principal_name", "=", account ?? ""))
    .$if(token !== undefined, (query) => query.where("token_id", "=", token ?? ""))
    .$if(repository !== undefined, (query) => query.where("repository", "=", repository ?? ""))
    .orderBy("day")
    .orderBy("repository")
    .orderBy("principal_id")
    .orderBy("token_id")
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

export const hasOldUsage = async (read: Reader, before: string): Promise<boolean> =>
  (await read.selectFrom("usage_days").select("day").where("day", "<", before).limit(1).execute()).length > 0;
