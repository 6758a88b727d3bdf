import { fail } from "../../oci/problem.ts";
import type { Account } from "../accounts.ts";
import type { Credentials, VerifyPassword } from "../credentials.ts";
import type { SecondFactors } from "../second-factor/second-factors.ts";
import type { NoteSession } from "./session-note.ts";

export interface PasswordSignInDeps {
  /** The password alone, whatever else the account asks for. */
  readonly checkPassword: VerifyPassword;
  readonly secondFactors: Pick<SecondFactors, "use">;
  readonly onSignIn: NoteSession;
}

interface Given extends Credentials {
  readonly code: string | undefined;
  readonly requestId: string;
}

/** Of a person, with all that their account asks for. @throws RegistryError UNAUTHORIZED, SECOND_FACTOR_REQUIRED */
export async function signInByPassword(
  { checkPassword, secondFactors, onSignIn }: PasswordSignInDeps,
  { code, requestId, ...credentials }: Given,
): Promise<Account> {
  const { remoteAddress } = credentials;
  const note = (account: Account | undefined): void =>
    onSignIn({ source: undefined, account, remoteAddress, requestId });
  const verified = await checkPassword(credentials);
  const account = verified.kind === "account" ? verified.account : undefined;
  // Nobody is in yet, and nobody is refused.
  if (account?.secondFactor === true && code === undefined) return fail({ code: "SECOND_FACTOR_REQUIRED" });
  const isIn =
    account !== undefined && (!account.secondFactor || (await secondFactors.use(account, code ?? "", remoteAddress)));
  note(isIn ? account : undefined);
  return isIn ? account : fail({ code: "UNAUTHORIZED", scopes: [] });
}
