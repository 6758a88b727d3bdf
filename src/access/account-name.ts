import type { Brand } from "../oci/brand.ts";

/** The one spelling under which an account is stored, looked up and counted. */
export type AccountName = Brand<string, "AccountName">;

const accountName = /^[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?$/;
const isAccountName = (text: string): text is AccountName => accountName.test(text);

/** `User`, ` user` and `USER` are one account. `undefined`: no account can have this name. */
export function parseAccountName(text: string): AccountName | undefined {
  const canonical = canonicalName(text);
  return isAccountName(canonical) ? canonical : undefined;
}

/** The spelling under which failures are counted, for names that no account can have as well. */
export const canonicalName = (text: string): string => text.normalize("NFKC").trim().toLowerCase();
