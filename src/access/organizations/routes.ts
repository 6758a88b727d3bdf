import type { z } from "zod";
import { parseRepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import type { RecordingWriter } from "../../platform/events/record-events.ts";
import type { Page } from "../../registry/repositories.ts";
import type { Registry } from "../../registry/registry.ts";
import { usualItems } from "../api/parameters.ts";
import { permit } from "../api/permit.ts";
import { one } from "../api/removal.ts";
import { type Call, type Route, route } from "../api/route.ts";
import type { Contract } from "../api/contract.ts";
import { type AccessChange, beginChange, type ChangeDeps } from "../change-access.ts";
import type { Authorize } from "../authorize.ts";
import { refuse } from "../refusal.ts";
import { authorizeIn } from "../require-held.ts";
import { requireAccount, requireOrganization, requireTeam } from "../require-named.ts";
import * as contracts from "./contract.ts";
import * as members from "./members.ts";
import * as namespaces from "./namespaces.ts";
import * as organizations from "./organizations.ts";
import * as teams from "./teams.ts";

export interface ModelRoutesDeps extends ChangeDeps {
  readonly authorize: Authorize;
}

/** Begins the change of a route in the transaction of its commit, and sees to it that it is still theirs to make. */
export const changing =
  ({ database, now }: ChangeDeps, { by, confirm }: Pick<Call<Contract>, "by" | "confirm">) =>
  async (tx: RecordingWriter): Promise<AccessChange> => {
    const change = await beginChange({ tx, database, by, now: now() });
    await confirm(authorizeIn(change), tx);
    return change;
  };

/** A page as it is answered; `keyOf` is what the next one goes on behind. */
export function answerPage<T>({ items, isLast }: Page<T>, keyOf: (item: T) => string) {
  const last = items.at(-1);
  return { items: [...items], ...(!isLast && last !== undefined && { next: keyOf(last) }) };
}

const nameOf = ({ name }: { readonly name: string }): string => name;

export interface OrganizationRoutesDeps extends ModelRoutesDeps {
  readonly registry: Pick<Registry, "furnish">;
}

export const organizationRoutes = (deps: OrganizationRoutesDeps): readonly Route[] => [
  ...aboutOrganizations(deps),
  ...aboutMembers(deps),
  ...aboutTeams(deps),
  ...aboutNamespaces(deps),
];

function aboutOrganizations(deps: ModelRoutesDeps): readonly Route[] {
  const { read } = deps.database;
  return [
    route(contracts.listOrganizations, async ({ query: { after, limit = usualItems }, by }) => {
      const mayAll =
        by === "operator" || (await deps.authorize(by, "read", { kind: "instance", subject: "organization" })).allowed;
      const memberId = mayAll || by.principal.kind !== "account" ? undefined : by.principal.id;
      if (!mayAll && memberId === undefined) return { items: [] };
      return answerPage(await organizations.listOrganizations(read, { after, limit }, memberId), nameOf);
    }),
    route(contracts.createOrganization, async (call) => {
      const { displayName, owner, takesOver = false, name } = call.body;
      const wanted = {
        name,
        takesOver,
        ...(displayName !== undefined && { displayName }),
        ...(owner !== undefined && { owner }),
      };
      return call.commit(async (tx) => organizations.createOrganization(await changing(deps, call)(tx), wanted));
    }),
    route(contracts.showOrganization, ({ params }) => shown(deps, params.organization)),
    route(contracts.renameOrganization, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const { id, name } = await requireOrganization(tx, call.params.organization);
        const renamed = { id, name, displayName: call.body.displayName, expected: call.expected };
        return organizations.renameForDisplay(change, renamed);
      });
    }),
    route(contracts.deleteOrganization, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const found = await requireOrganization(tx, call.params.organization);
        await organizations.deleteOrganization(change, found);
        return { dryRun: call.dryRun, removes: [one("organization", found.name)] };
      });
    }),
  ];
}

async function shown({ database }: ModelRoutesDeps, name: string): Promise<organizations.Organization> {
  return (
    (await organizations.findOrganization(database.read, name)) ??
    fail({ code: "OBJECT_UNKNOWN", what: "organization" })
  );
}

const named = async (tx: Writer, given: { readonly organization: string; readonly account: string }) => ({
  organization: await requireOrganization(tx, given.organization),
  account: await requireAccount(tx, given.account),
});

function aboutMembers(deps: ModelRoutesDeps): readonly Route[] {
  const { read } = deps.database;
  return [
    route(contracts.listMembers, async ({ params, query: { after, limit = usualItems } }) => {
      const { id } = await requireOrganization(read, params.organization);
      return answerPage(await members.listMembers(read, id, { after, limit }), nameOf);
    }),
    route(contracts.setMember, async (call) => {
      const { role } = call.body;
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const wanted = { ...(await named(tx, call.params)), role };
        await members.setMember(change, wanted);
        return { name: wanted.account.name, role };
      });
    }),
    route(contracts.removeMember, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const gone = await named(tx, call.params);
        await members.removeMember(change, gone);
        return { dryRun: call.dryRun, removes: [one("member", gone.account.name)] };
      });
    }),
  ];
}

const teamIn = (reader: Reader | Writer, given: { readonly organization: string; readonly team: string }) =>
  requireTeam(reader, `${given.organization}/${given.team}`);

function aboutTeams(deps: ModelRoutesDeps): readonly Route[] {
  const { read } = deps.database;
  return [
    route(contracts.listTeams, async ({ params, query: { after, limit = usualItems } }) => {
      const { id } = await requireOrganization(read, params.organization);
      return answerPage(await teams.listTeams(read, id, { after, limit }), nameOf);
    }),
    route(contracts.createTeam, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const organization = await requireOrganization(tx, call.params.organization);
        return teams.createTeam(change, { organization, name: call.body.name });
      });
    }),
    route(contracts.deleteTeam, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const team = await teamIn(tx, call.params);
        await teams.deleteTeam(change, team);
        return { dryRun: call.dryRun, removes: [one("team", team.name)] };
      });
    }),
    route(contracts.listTeamMembers, async ({ params, query: { after, limit = usualItems } }) => {
      const page = await teams.listTeamMembers(read, (await teamIn(read, params)).id, { after, limit });
      return answerPage({ ...page, items: page.items.map((name) => ({ name })) }, nameOf);
    }),
    route(contracts.addToTeam, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const team = await teamIn(tx, call.params);
        await teams.addToTeam(change, { team, account: await requireAccount(tx, call.params.account) });
        return undefined;
      });
    }),
    route(contracts.removeFromTeam, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const gone = { team: await teamIn(tx, call.params), account: await requireAccount(tx, call.params.account) };
        await teams.removeFromTeam(change, gone);
        return { dryRun: call.dryRun, removes: [one("member", gone.account.name)] };
      });
    }),
  ];
}

type Rules = z.infer<(typeof contracts.changeNamespace)["body"]>;

/** What is not given is absent, not undefined. */
const rulesOf = ({ visibility, createOnPush, template }: Rules): Omit<namespaces.NamespaceChange, "name"> => ({
  ...(visibility && { visibility }),
  ...(createOnPush && { createOnPush }),
  ...(template && { template }),
});

function aboutNamespaces(deps: OrganizationRoutesDeps): readonly Route[] {
  const { read } = deps.database;
  return [
    route(contracts.listNamespaces, async ({ query: { after, limit = usualItems } }) =>
      answerPage(await namespaces.listNamespaces(read, { after, limit }), nameOf),
    ),
    route(contracts.createNamespace, async (call) => {
      const wanted = { name: call.body.name, ...rulesOf(call.body) };
      return call.commit(async (tx) => namespaces.createNamespace(await changing(deps, call)(tx), wanted));
    }),
    route(contracts.showNamespace, async ({ params }) => shownNamespace(read, params.namespace)),
    route(contracts.changeNamespace, async (call) => {
      const name = namespaces.namespaceNamed(call.params.namespace);
      return call.commit(async (tx) => {
        const wanted = { name, expected: call.expected, ...rulesOf(call.body) };
        await namespaces.changeNamespace(await changing(deps, call)(tx), wanted);
        return shownNamespace(tx, call.params.namespace);
      });
    }),
    route(contracts.deleteNamespace, async (call) =>
      call.commit(async (tx) => {
        await namespaces.deleteNamespace(
          await changing(deps, call)(tx),
          namespaces.namespaceNamed(call.params.namespace),
        );
        return { dryRun: call.dryRun, removes: [one("namespace", call.params.namespace)] };
      }),
    ),
    route(contracts.setVisibility, async (call) => {
      const { repository } = call.params;
      const name = parseRepositoryName(repository) ?? fail({ code: "NAME_UNKNOWN", name: repository });
      return call.commit(async (tx) => {
        await namespaces.changeVisibility(await changing(deps, call)(tx), { name, visibility: call.body.visibility });
        return undefined;
      });
    }),
    route(contracts.createRepository, async (call) => {
      const { name: text, visibility, description, labels } = call.body;
      const given = { ...(description !== undefined && { description }), ...(labels && { labels }) };
      const name = parseRepositoryName(text) ?? refuse("invalid", `${text} is no name of a repository`);
      const place = { kind: "repository", name } as const;
      const unknown = { code: "NAME_UNKNOWN", name } as const;
      const isOwn = call.by === "operator" || (await deps.authorize(call.by, "admin", place)).allowed;
      const verb = isOwn || visibility !== undefined ? "admin" : "create";
      await permit(deps.authorize, call.by, { verb, place, subject: "repository", unknown });
      if (Object.keys(given).length > 0) {
        await permit(deps.authorize, call.by, { verb: "update", place, subject: "description", unknown });
      }
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        await namespaces.createEmptyRepository(change, { name, ...(visibility && { visibility }) });
        await deps.registry.furnish(tx, name, given);
        return { name };
      });
    }),
  ];
}

async function shownNamespace(
  reader: Parameters<typeof namespaces.findNamespace>[0],
  label: string,
): Promise<namespaces.Namespace> {
  const found = await namespaces.findNamespace(reader, namespaces.namespaceNamed(label));
  return found ?? fail({ code: "OBJECT_UNKNOWN", what: "namespace" });
}
