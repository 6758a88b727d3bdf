import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Passwords } from "../../platform/passwords/passwords.ts";
import { parseAccountName, type AccountName } from "../account-name.ts";
import { usualItems } from "../api/parameters.ts";
import { type Route, route } from "../api/route.ts";
import type { Authorize } from "../authorize.ts";
import type { AccessChange } from "../change-access.ts";
import type { VerifyPassword } from "../credentials.ts";
import { initialPasswordPath } from "../first-administrator.ts";
import { changing } from "../organizations/routes.ts";
import type { Caller } from "../principal.ts";
import { refuse } from "../refusal.ts";
import { requireAsMuchAs } from "../require-held.ts";
import { removePrivateFile } from "../private-file.ts";
import { addAccount, editAccount, removeAccount, replacePassword } from "./change-accounts.ts";
import * as contracts from "./contract.ts";
import { findAccounts, findShownAccount } from "./find-accounts.ts";

export interface AccountRoutesDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly dataFolder: string;
  readonly now: () => number;
}

export interface OwnRoutesDeps extends AccountRoutesDeps {
  readonly authorize: Authorize;
  /** The password alone, of whoever has signed in. */
  readonly checkPassword: VerifyPassword;
}

export function accountRoutes(deps: AccountRoutesDeps): readonly Route[] {
  const { database, passwords, now } = deps;
  return [
    route(contracts.listAccounts, async ({ query: { prefix, disabled, after, limit = usualItems } }) => {
      const page = await findAccounts(database, { prefix, disabled }, { after, limit });
      const last = page.items.at(-1);
      return { items: [...page.items], ...(!page.isLast && last !== undefined && { next: last.name }) };
    }),
    route(contracts.createAccount, async (call) => {
      const { password, ...given } = call.body;
      const passwordHash = await passwords.hash(password);
      return call.commit(async (tx) => {
        await changing(deps, call)(tx);
        return addAccount(tx, { ...given, passwordHash, createdAt: now() });
      });
    }),
    route(contracts.showAccount, async ({ params }) => {
      return (await findShownAccount(database.read, params.account)) ?? failUnknown();
    }),
    route(contracts.changeAccount, async (call) => {
      const { expected, body } = call;
      const name = call.params.account;
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        if (body.disabled !== undefined) await requireAsMuch(change, name);
        return editAccount(tx, { name, expected, ...body });
      });
    }),
    route(contracts.setPassword, async (call) => {
      const { password, takeOver = false } = call.body;
      // A password can more than any token: whoever set one by a token could sign in with it.
      if (call.caller.tokenId !== undefined) refuse("forbidden", "a token sets no passwords");
      const name = call.params.account;
      if ((await findShownAccount(database.read, name)) === undefined) failUnknown();
      const passwordHash = await passwords.hash(password);
      await call.commit(async (tx) => {
        await requireAsMuch(await changing(deps, call)(tx), name);
        await replacePassword(tx, { name, passwordHash, changedAt: now(), takeOver });
        return undefined;
      });
      await forgetFirstPassword(deps, name);
      return undefined;
    }),
    route(contracts.deleteAccount, async (call) => {
      const name = call.params.account;
      return call.commit(async (tx) => {
        await requireAsMuch(await changing(deps, call)(tx), name);
        return { dryRun: call.dryRun, removes: await removeAccount(tx, name) };
      });
    }),
  ];
}

/** What every account may do with itself. */
export function ownRoutes(deps: OwnRoutesDeps): readonly Route[] {
  const { database, passwords, now } = deps;
  return [
    route(contracts.showSelf, async ({ caller }) => {
      const shown = await findShownAccount(database.read, nameOf(caller));
      if (shown === undefined) return fail({ code: "UNAUTHORIZED", scopes: [] });
      const decision = await deps.authorize(caller, "admin", { kind: "instance" });
      return { ...shown, administrator: decision.allowed };
    }),
    route(contracts.changeOwnPassword, async ({ caller, body: { current, password }, remoteAddress, commit }) => {
      const name = nameOf(caller);
      // Counted as any other guess: a session that was left open must not be one that passwords are tried on.
      const verified = await deps.checkPassword({ name, password: current, remoteAddress });
      if (verified.kind !== "account" || verified.account.name !== name) {
        return fail({ code: "INPUT_INVALID", faults: [{ at: "current", reason: "it is not the password" }] });
      }
      const passwordHash = await passwords.hash(password);
      await commit((tx) =>
        replacePassword(tx, { name, passwordHash, changedAt: now(), takeOver: false }).then(() => undefined),
      );
      await forgetFirstPassword(deps, name);
      return undefined;
    }),
  ];
}

/** What there is none of is told by what is done to it. @throws RegistryError */
async function requireAsMuch(change: AccessChange, name: AccountName): Promise<void> {
  const account = await findShownAccount(change.tx, name);
  if (account !== undefined) await requireAsMuchAs(change, account);
}

const failUnknown = (): never => fail({ code: "OBJECT_UNKNOWN", what: "account" });

function nameOf({ principal }: Caller): AccountName {
  const name = principal.kind === "account" ? parseAccountName(principal.name) : undefined;
  return name ?? fail({ code: "UNAUTHORIZED", scopes: [] });
}

/** The file of the first start has no other use. */
async function forgetFirstPassword({ dataFolder }: AccountRoutesDeps, name: AccountName): Promise<void> {
  if (name === "admin") await removePrivateFile(initialPasswordPath(dataFolder));
}
