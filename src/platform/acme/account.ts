import { type AccountKey, type ExternalAccount, newAccountKey, readAccountKey } from "./account-key.ts";
import { AcmeError } from "./acme-error.ts";
import type { Authority } from "./authority.ts";
import type { AcmeFolder } from "./acme-folder.ts";

export interface AccountWish {
  readonly email: string | undefined;
  readonly externalAccount: ExternalAccount | undefined;
}

/** The kept key, or a new one that is kept before anyone hears of it. */
export async function loadAccountKey(folder: AcmeFolder): Promise<AccountKey> {
  const kept = await folder.readAccountKey();
  if (kept !== undefined) return readAccountKey(kept);
  const key = await newAccountKey();
  await folder.writeAccountKey(key.jwk);
  return key;
}

/**
 * The URL of the account that this key has, which is made where there is none: to ask for it says that the terms of
 * service are agreed to, so the operator must have said so. @throws AcmeError
 */
export async function findAccount(
  authority: Authority,
  key: AccountKey,
  { email, externalAccount }: AccountWish,
): Promise<string> {
  const { newAccount, meta } = authority.directory;
  if (meta?.externalAccountRequired === true && externalAccount === undefined)
    throw new AcmeError("the authority wants an external account: set tls.acme.externalAccount");
  const { location } = await authority.post(newAccount, {
    termsOfServiceAgreed: true,
    ...(email !== undefined && { contact: [`mailto:${email}`] }),
    ...(externalAccount && { externalAccountBinding: await key.bindTo(externalAccount, newAccount) }),
  });
  if (location === undefined || !location.startsWith("https://")) throw new AcmeError("the authority names no account");
  return location;
}
