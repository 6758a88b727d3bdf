import { fail } from "../../oci/problem.ts";
import type { Reader } from "../../platform/database/database.ts";
import { permit } from "../api/permit.ts";
import { toTime, usualItems } from "../api/parameters.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { Changer } from "../change-access.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import { refuse } from "../refusal.ts";
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

export function tokenRoutes(deps: TokenRoutesDeps): readonly Route[] {
  const { database, tokenLimits, now } = deps;
  const { read } = database;
  return [
    route(contracts.listTokens, async ({ query: { account, robot, after, limit = usualItems }, by }) => {
      const owner = await ownerOf(read, { account, robot }, by);
      await permitOwner(deps, by, { owner, verb: "read" });
      const page = await listTokens(read, { owner, now: now() }, { after, limit });
      return answerPage({ ...page, items: page.items.map(shown) }, ({ id }) => id);
    }),
    route(contracts.createToken, async (call) => {
      const { account, robot, name, scopes, networks, until } = call.body;
      const owner = await ownerOf(read, { account, robot }, call.by);
      await permitOwner(deps, call.by, { owner, verb: "update" });
      // An account has more rights than any program should.
      if (owner.kind === "account" && scopes === undefined) refuse("invalid", "say what the token is for: its scopes");
      const wanted = {
        owner,
        name,
        ...(scopes && { scopes: parseTokenScopes(scopes) }),
        ...(networks && { networks }),
        ...(until !== undefined && { expiresAt: Date.parse(until) }),
      };
      return call.commit(async (tx) =>
        shownMade(await changes.createToken(await changing(deps, call)(tx), tokenLimits, wanted)),
      );
    }),
    route(contracts.changeToken, async (call) => {
      const id = call.params.token;
      await permitToken(deps, call.by, id);
      return call.commit(async (tx) => {
        await changes.setTokenState(await changing(deps, call)(tx), { id, state: call.body.state });
        return undefined;
      });
    }),
    route(contracts.rotateToken, async (call) => {
      const id = call.params.token;
      const { overlapSeconds } = call.body;
      if (call.by === "operator" || call.by.tokenId !== id) await permitToken(deps, call.by, id);
      const overlapMs = overlapSeconds === undefined ? usualOverlapMs : overlapSeconds * 1000;
      return call.commit(async (tx) => {
        const made = await changes.rotateToken(await changing(deps, call)(tx), tokenLimits, { id, overlapMs });
        return { ...shownMade(made), oldExpiresAt: toTime(made.oldExpiresAt) };
      });
    }),
    route(contracts.revokeToken, async (call) => {
      const id = call.params.token;
      // Whoever has it may also end it.
      if (call.by === "operator" || call.by.tokenId !== id) await permitToken(deps, call.by, id);
      return call.commit(async (tx) => {
        await changes.setTokenState(await changing(deps, call)(tx), { id, state: "revoked" });
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
}

async function ownerOf(read: Reader, { account, robot }: Whose, by: Changer): Promise<changes.Owner> {
  if (account !== undefined && robot !== undefined) refuse("invalid", "a token is an account's or a robot's");
  if (robot !== undefined) {
    const { id, name } = await requireRobot(read, robot);
    return { kind: "robot", id, name };
  }
  if (account !== undefined) return { kind: "account", ...(await requireAccount(read, account)) };
  if (by === "operator" || by.principal.kind === "anonymous") return refuse("invalid", "say whose: account or robot");
  const { kind, id, name } = by.principal;
  return { kind, id, name };
}

const unknown = { code: "OBJECT_UNKNOWN", what: "token" } as const;

/** People see to their own, without a token in hand; administrators to those of accounts. @throws RegistryError */
async function permitOwner(
  { authorize, database: { read } }: TokenRoutesDeps,
  by: Changer,
  { owner, verb }: { readonly owner: changes.Owner; readonly verb: "read" | "update" },
): Promise<void> {
  if (owner.kind === "robot") {
    return permitRobot(authorize, by, { robot: await requireRobot(read, owner.name), verb });
  }
  const isOwn = by !== "operator" && by.principal.kind === "account" && by.principal.id === owner.id;
  if (isOwn && by.tokenId === undefined) return;
  await permit(authorize, by, { verb, place: { kind: "instance" }, subject: "account", unknown });
}

/** A token that somebody may not know of is answered as one that does not exist. @throws RegistryError */
async function permitToken(deps: TokenRoutesDeps, by: Changer, id: string): Promise<void> {
  const owner = (await changes.findOwner(deps.database.read, id)) ?? fail(unknown);
  const isAnothers = by !== "operator" && (by.principal.kind === "anonymous" || by.principal.id !== owner.id);
  if (isAnothers) {
    const [seen] = await Promise.allSettled([permitOwner(deps, by, { owner, verb: "read" })]);
    if (seen.status === "rejected") fail(unknown);
  }
  await permitOwner(deps, by, { owner, verb: "update" });
}
