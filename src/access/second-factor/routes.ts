import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import { accountOfCaller } from "../account-of-caller.ts";
import { type Account, findAccountByName } from "../accounts.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { ChangeDeps } from "../change-access.ts";
import type { VerifyPassword } from "../credentials.ts";
import { changing } from "../organizations/routes.ts";
import type { Caller } from "../principal.ts";
import { requireAsMuchAs } from "../require-held.ts";
import * as contracts from "./contract.ts";
import { removeSecondFactor, type SecondFactors } from "./second-factors.ts";
import { otpauthUri } from "./totp.ts";

export interface SecondFactorRoutesDeps {
  readonly database: Database;
  /** The password alone, of whoever has signed in. */
  readonly checkPassword: VerifyPassword;
  readonly secondFactors: Pick<SecondFactors, "enrol" | "confirm">;
  /** As apps name this registry. */
  readonly service: string;
}

export const secondFactorRoutes = (deps: SecondFactorRoutesDeps): readonly Route[] => {
  const { database, checkPassword, secondFactors, service } = deps;
  /** A session that was left open must not be enough. */
  const proven = async (caller: Caller, password: string, remoteAddress: string): Promise<Account> => {
    const account = await accountOfCaller(database, caller);
    const verified = await checkPassword({ name: account.name, password, remoteAddress });
    if (verified.kind === "account" && verified.account.id === account.id) return verified.account;
    return fail({ code: "INPUT_INVALID", faults: [{ at: "password", reason: "it is not the password" }] });
  };
  return [
    route(contracts.enrolSecondFactor, async ({ caller, body: { password }, remoteAddress, commit }) => {
      const account = await proven(caller, password, remoteAddress);
      return commit(async (tx) => {
        const secret = await secondFactors.enrol(tx, account);
        return { secret, uri: otpauthUri(secret, { issuer: service, name: account.name }) };
      });
    }),
    route(contracts.confirmSecondFactor, async ({ caller, body: { code }, commit }) => {
      const account = await accountOfCaller(database, caller);
      if (account.secondFactor) fail({ code: "CONFLICT", reasons: ["it is confirmed already"] });
      return commit(async (tx) => ({ recoveryCodes: [...(await secondFactors.confirm(tx, account, code))] }));
    }),
    route(contracts.removeSecondFactor, async ({ caller, body: { password }, remoteAddress, commit }) => {
      const account = await proven(caller, password, remoteAddress);
      return commit(async (tx) => void (await removeSecondFactor(tx, account)));
    }),
  ];
};

export const resetRoutes = (deps: ChangeDeps): readonly Route[] => [
  route(contracts.resetSecondFactor, async (call) => {
    const account = await findAccountByName(deps.database, call.params.account);
    if (account === undefined) return fail({ code: "OBJECT_UNKNOWN", what: "account" });
    return call.commit(async (tx) => {
      await requireAsMuchAs(await changing(deps, call)(tx), account);
      const removed = await removeSecondFactor(tx, account);
      return { dryRun: call.dryRun, removes: removed ? [one("second factor", account.name)] : [] };
    });
  }),
];
