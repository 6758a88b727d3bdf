import { fail } from "../../oci/problem.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { parseAccountName } from "../account-name.ts";
import { permit } from "../api/permit.ts";
import { toTime, usualItems } from "../api/parameters.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { Authorize } from "../authorize.ts";
import type { AccessChange, Changer } from "../change-access.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import { refuse } from "../refusal.ts";
import { authorizeIn } from "../require-held.ts";
import { requireAccount } from "../require-named.ts";
import { requireRobot } from "../robots/find-robot.ts";
import { permitRobot } from "../robots/permit-robot.ts";
import * as changes from "./change-tokens.ts";
import * as contracts from "./contract.ts";
import { listTokens, type TokenShown } from "./list-tokens.ts";
import { parseTokenScopes } from "./token-scopes.ts";

export interface TokenRoutesDeps extends ModelRoutesDeps {
  readonly tokenLimits: changes.TokenLimits;
}

const usualOverlapMs = 24 * 60 * 60_000;

/** By whom it is asked whether somebody may, and of what. */
interface Permitting {
  readonly authorize: Authorize;
  readonly read: Reader | Writer;
}

const inChange = (change: AccessChange): Permitting => ({ authorize: authorizeIn(change), read: change.tx });

export function tokenRoutes(deps: TokenRoutesDeps): readonly Route[] {
  const { database, tokenLimits, now } = deps;
  const { read } = database;
  return [
    route(contracts.listTokens, async ({ query: { account, robot, after, limit = usualItems }, by }) => {
      const owner = await permittedOwner({ authorize: deps.authorize, read }, by, { account, robot, verb: "read" });
      const page = await listTokens(read, { owner, now: now() }, { after, limit });
      return answerPage({ ...page, items: page.items.map(shown) }, ({ id }) => id);
    }),
    route(contracts.createToken, async (call) => {
      const { account, robot, name, scopes, networks, until } = call.body;
      const wanted = {
        name,
        ...(scopes && { scopes: parseTokenScopes(scopes) }),
        ...(networks && { networks }),
        ...(until !== undefined && { expiresAt: Date.parse(until) }),
      };
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const owner = await permittedOwner(inChange(change), call.by, { account, robot, verb: "update" });
        // An account has more rights than any program should.
        if (owner.kind === "account" && scopes === undefined)
          refuse("invalid", "say what the token is for: its scopes");
        return shownMade(await changes.createToken(change, tokenLimits, { ...wanted, owner }));
      });
    }),
    route(contracts.changeToken, async (call) => {
      const id = call.params.token;
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        await permitToken(inChange(change), call.by, id);
        await changes.setTokenState(change, { id, state: call.body.state });
        return undefined;
      });
    }),
    route(contracts.rotateToken, async (call) => {
      const id = call.params.token;
      const { overlapSeconds } = call.body;
      const overlapMs = overlapSeconds === undefined ? usualOverlapMs : overlapSeconds * 1000;
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        if (call.by === "operator" || call.by.tokenId !== id) await permitToken(inChange(change), call.by, id);
        const made = await changes.rotateToken(change, tokenLimits, { id, overlapMs });
        return { ...shownMade(made), oldExpiresAt: toTime(made.oldExpiresAt) };
      });
    }),
    route(contracts.revokeToken, async (call) => {
      const id = call.params.token;
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        // Whoever has it may also end it.
        if (call.by === "operator" || call.by.tokenId !== id) await permitToken(inChange(change), call.by, id);
        await changes.setTokenState(change, { id, state: "revoked" });
        return { dryRun: call.dryRun, removes: [one("token", id)] };
      });
    }),
  ];
}

const shown = ({ createdAt, expiresAt, lastUsedAt, scopes, networks, ...token }: TokenShown) => ({
  ...token,
  ...(scopes && { scopes: [...scopes] }),
  ...(networks && { networks: [...networks] }),
  createdAt: toTime(createdAt),
  expiresAt: toTime(expiresAt),
  ...(lastUsedAt !== undefined && { lastUsedAt: toTime(lastUsedAt) }),
});

const shownMade = ({ id, text, expiresAt }: changes.MadeToken) => ({ id, token: text, expiresAt: toTime(expiresAt) });

interface Whose {
  readonly account: string | undefined;
  readonly robot: string | undefined;
  readonly verb: "read" | "update";
}

/** Whose tokens are meant, where they are for whoever asks to see to: names are not told to others. @throws RegistryError */
async function permittedOwner(
  permitting: Permitting,
  by: Changer,
  { account, robot, verb }: Whose,
): Promise<changes.Owner> {
  if (account !== undefined && robot !== undefined) refuse("invalid", "a token is an account's or a robot's");
  const own = by !== "operator" && by.principal.kind !== "anonymous" ? by.principal : undefined;
  if (robot !== undefined || (account === undefined && own?.kind === "robot")) {
    const found = await requireRobot(permitting.read, robot ?? own?.name ?? "");
    await permitRobot(permitting.authorize, by, { robot: found, verb });
    return { kind: "robot", id: found.id, name: found.name };
  }
  if (own?.kind === "account" && (account === undefined || parseAccountName(account) === own.name)) {
    const owner = { kind: "account", id: own.id, name: own.name } as const;
    await permitAccount(permitting, by, { owner, verb });
    return owner;
  }
  if (account === undefined) return refuse("invalid", "say whose: account or robot");
  await permitAccount(permitting, by, { owner: undefined, verb });
  return { kind: "account", ...(await requireAccount(permitting.read, account)) };
}

const unknown = { code: "OBJECT_UNKNOWN", what: "token" } as const;

interface OfOwner {
  /** Absent where it is some account or other, which is not the own one. */
  readonly owner: changes.Owner | undefined;
  readonly verb: "read" | "update";
}

/** People see to their own, without a token in hand; administrators to those of accounts. @throws RegistryError */
async function permitAccount({ authorize }: Permitting, by: Changer, { owner, verb }: OfOwner): Promise<void> {
  const isOwn = by !== "operator" && by.principal.kind === "account" && by.principal.id === owner?.id;
  if (isOwn && by.tokenId === undefined) return;
  await permit(authorize, by, { verb, place: { kind: "instance" }, subject: "account", unknown });
}

async function permitOwner(permitting: Permitting, by: Changer, { owner, verb }: OfOwner): Promise<void> {
  if (owner?.kind !== "robot") return permitAccount(permitting, by, { owner, verb });
  const robot = await requireRobot(permitting.read, owner.name);
  return permitRobot(permitting.authorize, by, { robot, verb });
}

/** A token that somebody may not know of is answered as one that does not exist. @throws RegistryError */
async function permitToken(permitting: Permitting, by: Changer, id: string): Promise<void> {
  const owner = (await changes.findOwner(permitting.read, id)) ?? fail(unknown);
  const isAnothers = by !== "operator" && (by.principal.kind === "anonymous" || by.principal.id !== owner.id);
  if (isAnothers) {
    const [seen] = await Promise.allSettled([permitOwner(permitting, by, { owner, verb: "read" })]);
    if (seen.status === "rejected") fail(unknown);
  }
  await permitOwner(permitting, by, { owner, verb: "update" });
}
