import type { Contract } from "../../access/api/contract.ts";
import type { Route } from "../../access/api/route.ts";

/** Where a path leads, whatever the method: the contract's parameters, decoded once, by their names. */
export interface Match {
  readonly template: string;
  readonly byMethod: Readonly<Record<string, Route>>;
  readonly given: Readonly<Record<string, string>>;
}

/** The one parameter that takes several segments, for the slashes in it need not be encoded. */
const several = "repository";

interface Place {
  readonly template: string;
  readonly segments: readonly string[];
  readonly byMethod: Record<string, Route>;
}

export type MatchRoute = (path: string) => Match | undefined;

/**
 * Finds routes by path. What more words of the program stand in comes first, so `/repositories/a/tags` are the tags of `a`; a
 * repository `a/tags` is asked for as `a%2Ftags`.
 */
export function routeMatcher(base: string, routes: readonly Route[]): MatchRoute {
  const places = new Map<string, Place>();
  for (const route of routes) {
    const template = `${base}${route.contract.path}`;
    const place = places.get(template) ?? { template, segments: template.split("/"), byMethod: {} };
    place.byMethod[route.contract.method] = route;
    places.set(template, place);
  }
  const inOrder = [...places.values()].toSorted((one, other) => wordsIn(other) - wordsIn(one));
  return (path) => {
    const segments = path.split("/");
    for (const { template, segments: wanted, byMethod } of inOrder) {
      const given = readSegments(wanted, segments);
      if (given !== undefined) return { template, byMethod, given };
    }
    return undefined;
  };
}

const parameter = /^\{(\w+)\}$/;
const parameterOf = (segment: string): string | undefined => parameter.exec(segment)?.[1];
const wordsIn = ({ segments }: Place): number =>
  segments.filter((segment) => parameterOf(segment) === undefined).length;

function readSegments(
  wanted: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const more = segments.length - wanted.length;
  const at = wanted.findIndex((segment) => parameterOf(segment) === several);
  if (more < 0 || (more > 0 && at === -1)) return undefined;
  const given: Record<string, string> = {};
  let next = 0;
  for (const [index, segment] of wanted.entries()) {
    const width = index === at ? more + 1 : 1;
    const text = segments.slice(next, next + width).join("/");
    next += width;
    const name = parameterOf(segment);
    if (name === undefined && text !== segment) return undefined;
    if (name === undefined) continue;
    const decoded = decode(text);
    if (decoded === undefined || decoded === "") return undefined;
    given[name] = decoded;
  }
  return given;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Where that which was made is found: the contract's `creates` with the value's members in it. */
export function locationOf(base: string, { creates }: Contract, value: unknown): string | undefined {
  if (creates === undefined || typeof value !== "object" || value === null) return undefined;
  const members = new Map(Object.entries(value));
  return `${base}${creates.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(members.get(name))))}`;
}
