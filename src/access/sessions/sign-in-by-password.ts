import { fail } from "../../oci/problem.ts";
import type { Account } from "../accounts.ts";
import type { Credentials, VerifyPassword } from "../credentials.ts";
import type { SecondFactors } from "../second-factor/second-factors.ts";

export interface PasswordSignInDeps {
  /** The password alone, whatever else the account asks for. */
  readonly checkPassword: VerifyPassword;
  readonly secondFactors: Pick<SecondFactors, "use">;
}

/** Of a person, with all that their account asks for. @throws RegistryError UNAUTHORIZED, SECOND_FACTOR_REQUIRED */
export async function signInByPassword(
  { checkPassword, secondFactors }: PasswordSignInDeps,
  { code, ...credentials }: Credentials & { readonly code: string | undefined },
): Promise<Account> {
  const verified = await checkPassword(credentials);
  if (verified.kind !== "account") return fail({ code: "UNAUTHORIZED", scopes: [] });
  const { account } = verified;
  if (!account.secondFactor) return account;
  if (code === undefined) return fail({ code: "SECOND_FACTOR_REQUIRED" });
  const isRight = await secondFactors.use(account, code, credentials.remoteAddress);
  return isRight ? account : fail({ code: "UNAUTHORIZED", scopes: [] });
}
