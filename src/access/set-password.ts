import type { Database } from "../platform/database/database.ts";
import type { Passwords } from "../platform/passwords/passwords.ts";
import { parseAccountName } from "./account-name.ts";
import { changePassword, findAccountByName } from "./accounts.ts";
import { initialPasswordPath } from "./first-administrator.ts";
import { weaknessOf } from "./password-rules.ts";
import { removePrivateFile } from "./private-file.ts";

export interface SetPasswordDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly dataFolder: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Also for an account whose password a source of identity knows: from then on it is the database's. */
  readonly takesOver?: boolean;
}

/**
 * Gives an account a new password; tokens and sign-ins from before end with their next request. The first password of
 * `admin` is no longer kept then.
 * @returns what stands against it, or `undefined` when it is done
 */
export async function setPassword(
  { database, passwords, dataFolder, now, takesOver = false }: SetPasswordDeps,
  name: string,
  password: string,
): Promise<string | undefined> {
  const weakness = weaknessOf(password);
  if (weakness !== undefined) return `the password will not do: ${weakness}`;
  const parsed = parseAccountName(name);
  const account = parsed && (await findAccountByName(database, parsed));
  if (account === undefined) return `there is no account ${name}`;
  if (account.passwordHash === "" && !takesOver) {
    return `${name} has the password that its source of identity knows; --local gives it one of its own in place of that`;
  }
  const passwordHash = await passwords.hash(password);
  await database.write((tx) => changePassword(tx, { id: account.id, passwordHash, changedAt: now() }));
  if (account.name === "admin") await removePrivateFile(initialPasswordPath(dataFolder));
  return undefined;
}
