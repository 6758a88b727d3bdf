import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ConfigError } from "../platform/config/load-config.ts";
import type { Database } from "../platform/database/database.ts";
import type { Passwords } from "../platform/passwords/passwords.ts";
import { parseAccountName } from "./account-name.ts";
import { createToldAccount, findAccountByName } from "./accounts.ts";
import { weaknessOf } from "./password-rules.ts";
import { createPrivateFile, removePrivateFile } from "./private-file.ts";

export interface FirstAdministratorDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly dataFolder: string;
  readonly now: () => number;
}

export type FirstAdministrator =
  /** There was one already. A configured password is not looked at: it counts on the first start alone. */
  | { readonly kind: "exists" }
  | { readonly kind: "created"; readonly name: string }
  /** To be printed once; the file keeps it until it is changed. */
  | { readonly kind: "created-with-password"; readonly name: string; readonly password: string; readonly path: string };

/**
 * Makes the account `admin` on the first start; of several servers that start at once, one does.
 * @throws ConfigError when the configured password is too weak or too long
 */
export async function ensureFirstAdministrator(
  deps: FirstAdministratorDeps,
  configuredPassword: string | undefined,
): Promise<FirstAdministrator> {
  const name = parseAccountName("admin");
  if (name === undefined) throw new Error("admin is not an account name");
  if ((await findAccountByName(deps.database, name)) !== undefined) return { kind: "exists" };
  const create = async (password: string): Promise<boolean> => {
    const passwordHash = await deps.passwords.hash(password);
    const account = { name, passwordHash, administrator: true, createdAt: deps.now() };
    return createToldAccount(deps.database, account);
  };
  if (configuredPassword !== undefined) {
    const weakness = weaknessOf(configuredPassword);
    if (weakness !== undefined) throw new ConfigError([`BERTH_ADMIN_PASSWORD: ${weakness}; unset, one is made`]);
    return (await create(configuredPassword)) ? { kind: "created", name } : { kind: "exists" };
  }
  const password = randomBytes(24).toString("base64url");
  const path = initialPasswordPath(deps.dataFolder);
  // The file comes first: an account whose password nobody was told could not be signed in to after a crash. A file
  // without an account is from such a crash.
  await removePrivateFile(path);
  await createPrivateFile(path, `${password}\n`);
  if (await create(password)) return { kind: "created-with-password", name, password, path };
  await removePrivateFile(path);
  return { kind: "exists" };
}

export const initialPasswordPath = (dataFolder: string): string => join(dataFolder, "initial-admin-password");
