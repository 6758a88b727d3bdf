import { sql } from "kysely";
import { type Given, prepared, type Reading } from "../platform/database/prepared.ts";
import type { AccountName } from "./account-name.ts";
import { type Account, accountOf } from "./accounts.ts";
import type { CounterNames } from "./sign-in-failures.ts";
import type { AccountRow, FailuresRow } from "./tables.ts";

interface Wanted extends Given {
  readonly account: string;
  readonly pair: string;
  readonly network: string;
}

type NoRow<Row> = { readonly [Column in keyof Row]: null };
/** Once for each counter, and once without any. */
type FoundRow = (AccountRow | NoRow<AccountRow>) & (FailuresRow | NoRow<FailuresRow>);

const rowsBy = (column: "id" | "name") =>
  prepared((read, given: Wanted) =>
    read
      .selectFrom(sql<{ one: number }>`(select 1 as one)`.as("always"))
      .leftJoin("accounts", (join) => join.on((on) => on(`accounts.${column}`, "=", given.account)))
      .leftJoin("login_failures", (join) =>
        join.on((on) => on("login_failures.key", "in", [given.pair, given.network])),
      )
      .selectAll(["accounts", "login_failures"])
      .$castTo<FoundRow>(),
  );

const [rowsById, rowsByName] = [rowsBy("id"), rowsBy("name")];

export interface SignIn {
  readonly account: Account | undefined;
  /** Some of them may have expired. */
  readonly failures: readonly FailuresRow[];
}

/** An account, and the counters of its attempt, as one query in place of two: who brings a password needs both. */
export async function findSignIn(
  database: Reading,
  whose: { readonly id: string } | { readonly name: AccountName | undefined },
  { pair, network }: CounterNames,
): Promise<SignIn> {
  const rows = await ("id" in whose
    ? rowsById(database, { pair, network, account: whose.id })
    : // No account has an empty name.
      rowsByName(database, { pair, network, account: whose.name ?? "" }));
  const [first] = rows;
  const account = first === undefined || first.id === null ? undefined : accountOf(first);
  return { account, failures: rows.filter((row): row is FoundRow & FailuresRow => row.key !== null) };
}
