import type { z } from "zod";
import { parseRepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { PageRequest } from "../../registry/repositories.ts";
import { permit } from "../api/permit.ts";
import { toTime, usualItems } from "../api/parameters.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { Changer } from "../change-access.ts";
import { explain } from "../explain.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import { namespaceNamed } from "../organizations/namespaces.ts";
import { requireTeam, unknownTeam } from "../require-named.ts";
import { builtInRole, builtInRoleNames, findBuiltInRole, type Role } from "../roles.ts";
import * as contracts from "./contract.ts";
import * as customRoles from "./custom-roles.ts";
import type { Grantee, GrantScope } from "./grant.ts";
import * as grants from "./grants.ts";
import { findGrant, type GrantFilter, type GrantShown, listGrants } from "./list-grants.ts";

export const rightsRoutes = (deps: ModelRoutesDeps): readonly Route[] => [
  ...aboutRoles(deps),
  ...listingGrants(deps),
  ...changingGrants(deps),
  explaining(deps),
];

const shownRole = ({ name, permissions, revision = 0 }: Role & { readonly revision?: number }) => ({
  name,
  revision,
  isBuiltIn: findBuiltInRole(name) !== undefined,
  permissions: [...permissions],
});

function aboutRoles(deps: ModelRoutesDeps): readonly Route[] {
  const { read } = deps.database;
  return [
    route(contracts.listRoles, async ({ query: { after, limit = usualItems } }) => {
      const page = await customRoles.listRoles(read, { after, limit });
      const { items, ...next } = answerPage({ ...page, items: page.items.map(shownRole) }, ({ name }) => name);
      const builtIn = after === undefined ? builtInRoleNames.map((name) => shownRole(builtInRole(name))) : [];
      return { items: [...builtIn, ...items], ...next };
    }),
    route(contracts.createRole, async (call) =>
      call.commit(async (tx) => shownRole(await customRoles.createRole(await changing(deps, call)(tx), call.body))),
    ),
    route(contracts.showRole, async ({ params }) => shownRole(await customRoles.requireRole(read, params.role))),
    route(contracts.changeRole, async (call) => {
      const wanted = { name: call.params.role, permissions: call.body.permissions, expected: call.expected };
      return call.commit(async (tx) => shownRole(await customRoles.changeRole(await changing(deps, call)(tx), wanted)));
    }),
    route(contracts.deleteRole, async (call) =>
      call.commit(async (tx) => {
        await customRoles.deleteRole(await changing(deps, call)(tx), call.params.role);
        return { dryRun: call.dryRun, removes: [one("role", call.params.role)] };
      }),
    ),
  ];
}

const shownGrant = ({ until, networks, ...grant }: GrantShown) => ({
  ...grant,
  ...(networks && { networks: [...networks] }),
  ...(until !== undefined && { until: toTime(until) }),
});

function listingGrants({ database: { read } }: ModelRoutesDeps): readonly Route[] {
  const page = async (filter: GrantFilter, { after, limit }: PageRequest) => {
    const found = await listGrants(read, filter, { after, limit });
    return answerPage({ ...found, items: found.items.map(shownGrant) }, ({ id }) => id);
  };
  const on = async (scope: GrantScope, request: PageRequest) =>
    page({ on: await grants.findScope(read, scope) }, request);
  return [
    route(contracts.listGrants, async ({ query: { account, team, robot, after, limit = usualItems } }) => {
      const to = [granteeOf("account", account), granteeOf("team", team), granteeOf("robot", robot)].find(Boolean);
      return page(to ? { to: await grants.findGrantee(read, to) } : {}, { after, limit });
    }),
    route(contracts.listOrganizationGrants, ({ params, query: { after, limit = usualItems } }) =>
      on({ kind: "organization", name: params.organization }, { after, limit }),
    ),
    route(contracts.listNamespaceGrants, async ({ params, query: { after, limit = usualItems, patterns } }) => {
      const { id, kind } = await grants.findScope(read, { kind: "namespace", name: namespaceNamed(params.namespace) });
      return page({ on: { id, kind: patterns === "true" ? "pattern" : kind } }, { after, limit });
    }),
    route(contracts.listRepositoryGrants, ({ params, query: { after, limit = usualItems } }) =>
      on({ kind: "repository", name: requireName(params.repository) }, { after, limit }),
    ),
  ];
}

const granteeOf = (kind: "account" | "team" | "robot", name: string | undefined): Grantee | undefined =>
  name === undefined ? undefined : { kind, name };

const requireName = (text: string) => parseRepositoryName(text) ?? fail({ code: "NAME_UNKNOWN", name: text });

function changingGrants(deps: ModelRoutesDeps): readonly Route[] {
  return [
    route(contracts.createGrant, async (call) => {
      const { role, to, on, tags, networks, until } = call.body;
      const conditions = {
        ...(tags !== undefined && { tags }),
        ...(networks !== undefined && { networks }),
        ...(until !== undefined && { until: Date.parse(until) }),
      };
      const wanted = { role, to, on: scopeOf(on), conditions };
      return call.commit(async (tx) => ({
        id: await grants.createGrant(await changing(deps, call)(tx), wanted),
        role,
      }));
    }),
    route(contracts.deleteGrant, async (call) => {
      const id = call.params.grant;
      const unknown = { code: "OBJECT_UNKNOWN", what: "grant" } as const;
      const { place } = (await findGrant(deps.database.read, id)) ?? fail(unknown);
      await permit(deps.authorize, call.by, { verb: "delete", place, subject: "grant", unknown, readsSubject: true });
      return call.commit(async (tx) => {
        await grants.deleteGrant(await changing(deps, call)(tx), id);
        return { dryRun: call.dryRun, removes: [one("grant", id)] };
      });
    }),
  ];
}

function scopeOf(on: z.infer<(typeof contracts.createGrant)["body"]>["on"]): GrantScope {
  if (on.kind === "repository") return { kind: "repository", name: requireName(on.name) };
  return on.kind === "namespace" ? { kind: "namespace", name: namespaceNamed(on.name) } : on;
}

const explaining = (deps: ModelRoutesDeps): Route =>
  route(contracts.explainAccess, async ({ query, by }) => {
    const { account, team, doing, repository, tag, address } = query;
    const isOwn = by !== "operator" && by.principal.kind === "account" && by.principal.name === account;
    if (!isOwn) {
      const place = { kind: "repository", name: requireName(repository) } as const;
      const unknown = { code: "NAME_UNKNOWN", name: repository } as const;
      await permit(deps.authorize, by, { verb: "read", place, subject: "grant", unknown });
    }
    if (team !== undefined) await requireVisibleTeam(deps, by, team);
    const { decision } = await explain(
      { read: deps.database.read, authorize: deps.authorize },
      {
        doing,
        repository,
        ...(account !== undefined && { account }),
        ...(team !== undefined && { team }),
        ...(tag !== undefined && { tag }),
        ...(address !== undefined && { address }),
      },
    );
    const { allowed, because } = decision;
    return {
      allowed,
      ...because,
      ...(!decision.allowed && decision.missing !== undefined && { missing: decision.missing }),
    };
  });

/** Whoever sees nothing of an organization does not learn which teams it has. @throws RegistryError */
async function requireVisibleTeam({ authorize, database }: ModelRoutesDeps, by: Changer, text: string): Promise<void> {
  const { organization } = await requireTeam(database.read, text);
  const place = { kind: "organization", id: organization.id } as const;
  await permit(authorize, by, { verb: "read", place, subject: "member", unknown: unknownTeam(text) });
}
