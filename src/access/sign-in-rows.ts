import { sql } from "kysely";
import { type Given, prepared, type Reading } from "../platform/database/prepared.ts";
import type { AccountName } from "./account-name.ts";
import { type Account, accountOf } from "./accounts.ts";
import type { CounterNames } from "./sign-in-failures.ts";
import type { AccountRow, FailuresRow } from "./tables.ts";

interface Counters extends CounterNames, Given {
  /** Milliseconds since 1970. */
  readonly now: number;
}

type NoRow<Row> = { readonly [Column in keyof Row]: null };
/** Once for each counter, and once without any. */
type FoundRow = (AccountRow | NoRow<AccountRow>) & (FailuresRow | NoRow<FailuresRow>);

const rowsBy = (column: "id" | "name") =>
  prepared((read, given: Counters & { readonly account: string }) =>
    read
      .selectFrom(sql<{ one: number }>`(select 1 as one)`.as("always"))
      .leftJoin("accounts", (join) => join.on((on) => on(`accounts.${column}`, "=", given.account)))
      .leftJoin("login_failures", (join) =>
        join
          .on((on) => on("login_failures.key", "in", [given.pair, given.network]))
          .on((on) => on("login_failures.expires_at", ">", given.now)),
      )
      .selectAll(["accounts", "login_failures"])
      .$castTo<FoundRow>(),
  );

const [rowsById, rowsByName] = [rowsBy("id"), rowsBy("name")];

/**
 * An account, and the counters of its attempt that have not expired, as one query in place of two: each request that
 * brings a password asks for both.
 */
export async function findSignIn(
  database: Reading,
  whose: { readonly id: string } | { readonly name: AccountName | undefined },
  counters: Counters,
): Promise<{ readonly account: Account | undefined; readonly failures: readonly FailuresRow[] }> {
  const rows = await ("id" in whose
    ? rowsById(database, { ...counters, account: whose.id })
    : // No account has an empty name.
      rowsByName(database, { ...counters, account: whose.name ?? "" }));
  const [first] = rows;
  const account = first === undefined || first.id === null ? undefined : accountOf(first);
  return { account, failures: rows.filter((row): row is FoundRow & FailuresRow => row.key !== null) };
}
