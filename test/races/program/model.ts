import { type Condition, done, incomplete, missing, type Operation, refused } from "./operation.ts";
import { known, type Universe } from "./universe.ts";

/**
 * What a registry is to those who use it: the sequential specification. Keys are `repository/name`. A blob whose lease
 * has run out may be there or not, until somebody asks: that leaves the collector every freedom it has, and no other.
 */
export interface State {
  readonly tags: ReadonlyMap<string, string>;
  readonly manifests: ReadonlySet<string>;
  readonly blobs: ReadonlyMap<string, "leased" | "expired">;
}

/** What an operation may answer, and what is true after that answer. */
export interface Possibility {
  readonly outcome: string;
  readonly state: State;
}

export interface Model {
  readonly initial: State;
  apply(state: State, operation: Operation): readonly Possibility[];
}

export const keyOfState = ({ tags, manifests, blobs }: State): string =>
  [[...tags].map(([tag, manifest]) => `${tag}=${manifest}`), [...manifests], [...blobs].map((pair) => pair.join("="))]
    .map((items) => items.toSorted().join(" "))
    .join(" | ");

export function modelOf(universe: Universe): Model {
  return {
    initial: { tags: new Map(), manifests: new Set(), blobs: new Map() },
    apply: (state, operation) => apply(universe, state, operation),
  };
}

const same = (state: State, outcome: string): readonly Possibility[] => [{ outcome, state }];

function apply(universe: Universe, state: State, operation: Operation): readonly Possibility[] {
  switch (operation.kind) {
    case "push-blob":
      return [{ outcome: done, state: withBlob(state, `${operation.repository}/${operation.blob}`) }];
    case "push":
      return push(universe, state, operation);
    case "mount":
      return worlds(state, [`${operation.from}/${operation.blob}`]).map((world) =>
        world.blobs.has(`${operation.from}/${operation.blob}`)
          ? { outcome: done, state: withBlob(world, `${operation.repository}/${operation.blob}`) }
          : { outcome: missing, state: world },
      );
    case "head-blob":
    case "get-blob":
    case "delete-blob":
      return onBlob(state, operation);
    case "get-tag":
      return same(state, state.tags.get(`${operation.repository}/${operation.tag}`) ?? missing);
    case "delete-tag": {
      const key = `${operation.repository}/${operation.tag}`;
      if (!state.tags.has(key)) return same(state, missing);
      return [{ outcome: done, state: { ...state, tags: without(state.tags, (tag) => tag === key) } }];
    }
    case "get-manifest":
      return same(state, state.manifests.has(keyOf(operation)) ? operation.manifest : missing);
    case "delete-manifest":
      return deleteManifest(state, operation);
    case "list-tags":
      return same(state, JSON.stringify(namesIn(state.tags.keys(), operation.repository)));
    case "list-referrers":
      return same(state, listReferrers(universe, state, operation));
    case "expire":
      return [{ outcome: done, state: expire(universe, state, operation.blob) }];
    case "collect":
      return same(state, done);
  }
  return operation satisfies never;
}

const keyOf = ({ repository, manifest }: { readonly repository: string; readonly manifest: string }): string =>
  `${repository}/${manifest}`;

const namesIn = (keys: Iterable<string>, repository: string): readonly string[] =>
  [...keys]
    .filter((key) => key.startsWith(`${repository}/`))
    .map((key) => key.slice(repository.length + 1))
    .toSorted();

const withBlob = (state: State, key: string): State => ({
  ...state,
  blobs: new Map([...state.blobs, [key, "leased"]]),
});

const without = <T>(
  items: ReadonlyMap<string, T>,
  isGone: (key: string, value: T) => boolean,
): ReadonlyMap<string, T> => new Map([...items].filter(([key, value]) => !isGone(key, value)));

/** The state with each of these blobs there for sure, or gone. */
function worlds(state: State, blobs: readonly string[]): readonly State[] {
  let all: readonly State[] = [state];
  for (const blob of blobs) {
    if (state.blobs.get(blob) !== "expired") continue;
    all = all.flatMap((world) => [world, { ...world, blobs: without(world.blobs, (key) => key === blob) }]);
  }
  return all;
}

/** Whether a manifest of the repository names the blob: then nothing but a DELETE takes it away. */
function isNamed({ manifests }: Universe, state: State, key: string): boolean {
  const [repository = "", blob = ""] = key.split("/");
  return namesIn(state.manifests, repository).some((name) => known(manifests, name).needs.includes(blob));
}

type Push = Extract<Operation, { readonly kind: "push" }>;

function push(universe: Universe, state: State, operation: Push): readonly Possibility[] {
  const { repository, manifest, tags, condition } = operation;
  const needs = known(universe.manifests, manifest).needs.map((blob) => `${repository}/${blob}`);
  return worlds(state, needs).map((world) => {
    if (needs.some((blob) => !world.blobs.has(blob))) return { outcome: incomplete, state: world };
    const current =
      tags.length === 0
        ? [world.manifests.has(keyOf(operation)) ? manifest : undefined]
        : tags.map((tag) => world.tags.get(`${repository}/${tag}`));
    if (!current.every((one) => holds(condition, one))) return { outcome: refused, state: world };
    return {
      outcome: done,
      state: {
        tags: new Map([...world.tags, ...tags.map((tag): [string, string] => [`${repository}/${tag}`, manifest])]),
        manifests: new Set([...world.manifests, keyOf(operation)]),
        blobs: new Map([...world.blobs, ...needs.map((blob): [string, "leased"] => [blob, "leased"])]),
      },
    };
  });
}

function holds(condition: Condition | undefined, current: string | undefined): boolean {
  if (condition === undefined) return true;
  if (condition.kind === "is-absent") return current === undefined;
  if (current === undefined) return false;
  return condition.kind === "exists" || condition.manifests.includes(current);
}

type BlobOperation = Extract<Operation, { readonly kind: "head-blob" | "get-blob" | "delete-blob" }>;

function onBlob(state: State, { kind, repository, blob }: BlobOperation): readonly Possibility[] {
  const key = `${repository}/${blob}`;
  return worlds(state, [key]).map((world) => {
    if (!world.blobs.has(key)) return { outcome: missing, state: world };
    if (kind === "delete-blob") {
      return { outcome: done, state: { ...world, blobs: without(world.blobs, (other) => other === key) } };
    }
    return { outcome: done, state: kind === "head-blob" ? withBlob(world, key) : world };
  });
}

type ManifestOperation = Extract<Operation, { readonly kind: "get-manifest" | "delete-manifest" }>;

/** Its tags go with it, and what nothing names any more begins a fresh lease. */
function deleteManifest(state: State, operation: ManifestOperation): readonly Possibility[] {
  const { repository, manifest } = operation;
  if (!state.manifests.has(keyOf(operation))) return same(state, missing);
  const after: State = {
    ...state,
    tags: without(state.tags, (key, named) => key.startsWith(`${repository}/`) && named === manifest),
    manifests: state.manifests.difference(new Set([keyOf(operation)])),
  };
  return [{ outcome: done, state: after }];
}

function expire(universe: Universe, state: State, blob: string): State {
  const blobs = [...state.blobs].map(([key, lease]): [string, "leased" | "expired"] => {
    const isOver = key.endsWith(`/${blob}`) && !isNamed(universe, state, key);
    return [key, isOver ? "expired" : lease];
  });
  return { ...state, blobs: new Map(blobs) };
}

type Referrers = Extract<Operation, { readonly kind: "list-referrers" }>;

/** The first page, in the order of the digests. */
function listReferrers({ manifests }: Universe, state: State, { repository, subject, mostItems }: Referrers): string {
  const digestOf = (name: string): string => known(manifests, name).content.digest;
  const all = namesIn(state.manifests, repository)
    .filter((name) => known(manifests, name).subject === subject)
    .toSorted((a, b) => (digestOf(a) < digestOf(b) ? -1 : 1));
  return JSON.stringify([all.slice(0, mostItems), all.length <= mostItems]);
}
