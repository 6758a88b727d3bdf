import { type Expression, type ExpressionBuilder, sql, type SqlBool } from "kysely";
import type { Database, Dialect, Tables } from "../platform/database/database.ts";
import { textsOf } from "../platform/database/json-lists.ts";
import type { PageRequest, Visible } from "../registry/repositories.ts";
import { untilCountedUp } from "./access-revision.ts";
import { type AuthorizeDeps, isCatalogGrant } from "./authorize.ts";
import { dependsOn, type DependsOn } from "./decide.ts";
import { holdsNow } from "./held.ts";
import type { Caller, Principal } from "./principal.ts";
import { loadReach, type NameRange, rangeOfPattern, type Reached } from "./reach.ts";

/** What a list may show, and what would make it another list while nobody commits. */
export interface Seen {
  readonly visible: Visible;
  readonly dependsOn?: DependsOn;
}

export interface Visibilities {
  /** The repositories that `authorize` would let the caller read, as conditions that indexes answer. */
  readonly visibleTo: (caller: Caller) => Promise<Seen>;
  /**
   * What the catalog shows: to a token for the catalog, the names of all that its principal could get a token to read.
   * It is for names alone, as such a token opens none of them.
   */
  readonly listedTo: (caller: Caller) => Promise<Seen>;
}

export function visibilities(deps: AuthorizeDeps): Visibilities {
  const { database, policy, now } = deps;
  const reachOf = rememberedReach(deps);
  /** Of what holds always and from everywhere, as long as it is remembered. */
  const always = new WeakMap<readonly Reached[], Seen>();
  const byRight = async ({ principal, remoteAddress }: Caller): Promise<Seen> => {
    if (policy.mode === "open") return { visible: [everything] };
    const circumstances = { remoteAddress, now: now() };
    const reached = await reachOf(principal);
    const known = always.get(reached);
    if (known !== undefined) return known;
    const seen: Seen = {
      visible: conditionsOf(
        reached.filter(({ held }) => holdsNow(held, circumstances)),
        { principal, dialect: database.dialect },
      ),
      ...dependsOn(
        reached.map(({ held }) => held),
        circumstances,
      ),
    };
    const isUnlimited = reached.every(({ held }) => held.networks === undefined && held.until === undefined);
    if (isUnlimited) always.set(reached, seen);
    return seen;
  };
  const visibleTo = async (caller: Caller): Promise<Seen> => {
    const seen = await byRight(caller);
    const limits = limitsOf(caller, database.dialect);
    const [first, ...others] = seen.visible;
    return limits.length === 0
      ? seen
      : { ...seen, visible: [all(first, limits), ...others.map((one) => all(one, limits))] };
  };
  return {
    visibleTo,
    listedTo: ({ scope, ...caller }) =>
      visibleTo(scope === undefined || scope.some(isCatalogGrant) ? caller : { ...caller, scope }),
  };
}

function rememberedReach({ database, revision }: AuthorizeDeps): (principal: Principal) => Promise<readonly Reached[]> {
  const remember = untilCountedUp<readonly Reached[]>(revision, { max: 1000, maxSize: 200_000 });
  return (principal) =>
    remember(principal.kind === "anonymous" ? "" : `${principal.kind} ${principal.id}`, async () => {
      const value = await loadReach(database, principal);
      return { value, size: 1 + value.length };
    });
}

type Condition = (expression: ExpressionBuilder<Tables, "repositories">, page?: PageRequest) => Expression<SqlBool>;

const everything: Condition = (eb) => eb.lit(true);
const all =
  (condition: Condition, limits: readonly Condition[]): Condition =>
  (eb) =>
    eb.and([condition(eb), ...limits.map((limit) => limit(eb))]);

function conditionsOf(
  reached: readonly Reached[],
  { principal, dialect }: { readonly principal: Principal; readonly dialect: Database["dialect"] },
): Visible {
  const areas = reached.map(({ area }) => area);
  if (areas.some(({ kind }) => kind === "everything")) return [everything];
  const ranges = areas.flatMap((area) => (area.kind === "names" ? area.range : []));
  const names = areas.flatMap((area) => (area.kind === "repository" ? area.name : []));
  return [
    (eb) => eb("repositories.visibility", "=", "public"),
    ...(principal.kind === "account"
      ? [((eb) => eb("repositories.visibility", "=", "internal")) satisfies Condition]
      : []),
    ...(ranges.length > 0 ? [inRanges(dialect, ranges)] : []),
    ...(names.length > 0 ? [withNames(dialect, names)] : []),
  ];
}

/** Of ten thousand, a page looks at those alone that it can show. @param names in their order */
const withNames =
  (dialect: Dialect, names: readonly string[]): Condition =>
  (_, page) => {
    const json = JSON.stringify(page === undefined ? names : namesOfPage(names, page));
    return sql<SqlBool>`repositories.name in ${textsOf(dialect, json)}`;
  };

/** One more than the page has, as it is asked for. A repository may have been granted more than once. */
function namesOfPage(names: readonly string[], { after, limit }: PageRequest): readonly string[] {
  const some: string[] = [];
  for (let at = firstBehind(names, after); at < names.length && some.length <= limit; at++) {
    const name = names[at] ?? "";
    if (name !== some.at(-1)) some.push(name);
  }
  return some;
}

function firstBehind(names: readonly string[], after: string | undefined): number {
  let [low, high] = [0, after === undefined ? 0 : names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] ?? "") > (after ?? "")) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Any number of ranges is one parameter: each of them is looked up in the index of names. */
const inRanges =
  (dialect: Dialect, ranges: readonly NameRange[]): Condition =>
  () => {
    const json = JSON.stringify(distinct(ranges));
    return dialect === "sqlite"
      ? sql<SqlBool>`repositories.name in (
          select one.name from json_each(${json}) as area cross join repositories as one
          where one.name >= area.value ->> 'from' and one.name < area.value ->> 'before'
            and not exists (
              select 1 from json_each(area.value -> 'likes') as part
              where coalesce(('["' || replace(one.name, '/', '","') || '"]') ->> part.key, '')
                not like part.value escape '!'
            )
        )`
      : sql<SqlBool>`repositories.name in (
          select one.name
          from json_to_recordset(cast(${json} as json)) as area("from" text, "before" text, likes json)
          join repositories as one on one.name >= area."from" and one.name < area."before"
          where not exists (
            select 1 from json_array_elements_text(area.likes) with ordinality as part(pattern, place)
            where split_part(one.name, '/', cast(part.place as integer)) not like part.pattern escape '!'
          )
        )`;
  };

const distinct = (ranges: readonly NameRange[]): readonly NameRange[] => [
  ...new Map(ranges.map((range) => [JSON.stringify(range), range])).values(),
];

/** What the tokens that were shown leave of it. */
function limitsOf({ scope, tokenScope }: Caller, dialect: Dialect): readonly Condition[] {
  return [
    ...(scope === undefined ? [] : [namedIn(scope)]),
    ...(tokenScope === undefined ? [] : [likeIn(tokenScope, dialect)]),
  ];
}

function namedIn(scope: NonNullable<Caller["scope"]>): Condition {
  const names = scope
    .filter(({ type, actions }) => type === "repository" && (actions.includes("pull") || actions.includes("*")))
    .map(({ name }) => name);
  return names.length === 0 ? nothing : (eb) => eb("repositories.name", "in", names);
}

function likeIn(tokenScope: NonNullable<Caller["tokenScope"]>, dialect: Dialect): Condition {
  const readable = tokenScope.filter(({ permissions }) => permissions.includes("repository:read"));
  return readable.length === 0
    ? nothing
    : inRanges(
        dialect,
        readable.map(({ pattern }) => rangeOfPattern("", pattern)),
      );
}

const nothing: Condition = (eb) => eb.lit(false);
