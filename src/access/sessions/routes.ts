import { fail } from "../../oci/problem.ts";
import { toTime } from "../api/parameters.ts";
import { type Route, route } from "../api/route.ts";
import type { VerifyPassword } from "../credentials.ts";
import { signIn, signOut } from "./contract.ts";
import type { SecondFactors } from "../second-factor/second-factors.ts";
import type { Sessions } from "./sessions.ts";

interface SessionRoutesDeps {
  readonly sessions: Sessions;
  /** The password alone, whatever else the account asks for. */
  readonly checkPassword: VerifyPassword;
  readonly secondFactors: Pick<SecondFactors, "use">;
}

export const sessionRoutes = ({ sessions, checkPassword, secondFactors }: SessionRoutesDeps): readonly Route[] => [
  route(signIn, async ({ body: { name, password, code }, remoteAddress, session }) => {
    const verified = await checkPassword({ name, password, remoteAddress });
    if (verified.kind !== "account") return fail({ code: "UNAUTHORIZED", scopes: [] });
    const { account } = verified;
    if (account.secondFactor && code === undefined) return fail({ code: "SECOND_FACTOR_REQUIRED" });
    const isWhole = !account.secondFactor || (await secondFactors.use(account, code ?? "", remoteAddress));
    if (!isWhole) return fail({ code: "UNAUTHORIZED", scopes: [] });
    // A secret that was there before is another's, or one that somebody has put there.
    if (session.secret !== undefined) await sessions.end(session.secret);
    const started = await sessions.begin(verified.account);
    session.keep(started.secret);
    return {
      name: verified.account.name,
      expiresAt: toTime(started.expiresAt),
      idleSeconds: sessions.settings.idleMs / 1000,
    };
  }),
  route(signOut, async ({ session }) => {
    if (session.secret !== undefined) await sessions.end(session.secret);
    session.drop();
    return undefined;
  }),
];
