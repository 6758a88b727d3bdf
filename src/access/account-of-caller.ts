import { fail } from "../oci/problem.ts";
import type { Reading } from "../platform/database/prepared.ts";
import { type Account, findAccountById } from "./accounts.ts";
import type { Caller } from "./principal.ts";

/** As it is now. @throws RegistryError UNAUTHORIZED for who has none */
export async function accountOfCaller(database: Reading, { principal }: Caller): Promise<Account> {
  const account = principal.kind === "account" ? await findAccountById(database, principal.id) : undefined;
  return account ?? fail({ code: "UNAUTHORIZED", scopes: [] });
}
