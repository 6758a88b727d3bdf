import { toTime } from "../api/parameters.ts";
import { type Route, route } from "../api/route.ts";
import { signIn, signOut } from "./contract.ts";
import type { Sessions } from "./sessions.ts";
import { type PasswordSignInDeps, signInByPassword } from "./sign-in-by-password.ts";

export interface SessionRoutesDeps extends PasswordSignInDeps {
  readonly sessions: Sessions;
}

export const sessionRoutes = ({ sessions, ...deps }: SessionRoutesDeps): readonly Route[] => [
  route(signIn, async ({ body: { name, password, code }, remoteAddress, session, envelope: { requestId = "" } }) => {
    const account = await signInByPassword(deps, { name, password, code, remoteAddress, requestId });
    // A secret that was there before is another's, or one that somebody has put there.
    if (session.secret !== undefined) await sessions.end(session.secret);
    const started = await sessions.begin(account);
    session.keep(started.secret);
    return {
      name: account.name,
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
