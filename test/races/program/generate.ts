import type { Random } from "../../hostile/fuzz/random.ts";
import type { Condition, Kind, Operation } from "./operation.ts";
import type { Universe } from "./universe.ts";

/** What happens first, one after the other, and then what several clients do at once. */
export interface Program {
  readonly before: readonly Operation[];
  readonly clients: readonly (readonly Operation[])[];
}

export interface Size {
  readonly clients: number;
  readonly operations: number;
}

/** What one program is about: little enough that its clients meet all the time. */
interface Theme {
  /** Each as often as it stands here. */
  readonly kinds: string;
  readonly manifests: readonly string[];
}

const themes: readonly [Theme, ...Theme[]] = [
  {
    kinds:
      "push push push push get-tag get-tag get-tag get-manifest delete-manifest delete-manifest delete-tag list-tags",
    manifests: ["x0", "x1", "i0"],
  },
  {
    kinds:
      "push-blob head-blob head-blob get-blob get-blob delete-blob mount expire expire collect collect push push " +
      "delete-manifest",
    manifests: ["m0", "m1"],
  },
  { kinds: "push push get-tag delete-manifest", manifests: ["x0", "x1", "i0"] },
  { kinds: "head-blob get-blob expire collect", manifests: ["m0"] },
  { kinds: "push-blob mount mount delete-blob get-blob get-blob", manifests: ["m0"] },
  {
    kinds: "push push push list-referrers list-referrers list-referrers delete-manifest",
    manifests: ["s0", "s1", "s2"],
  },
  {
    kinds:
      "push-blob push push push mount head-blob head-blob get-blob delete-blob get-tag get-manifest delete-tag " +
      "delete-manifest list-tags list-referrers expire collect",
    manifests: ["m0", "m1", "i0", "x0", "x1", "s0", "s1", "s2"],
  },
];

interface Focus {
  readonly kinds: readonly Kind[];
  readonly tags: readonly string[];
  readonly blobs: readonly string[];
  readonly manifests: readonly string[];
  /** One in so many operations is in the other repository. */
  readonly elsewhere: number;
}

function chooseFocus(random: Random, universe: Universe): Focus {
  const theme = random.pick(themes);
  const some = <T>(items: Iterable<T>): readonly T[] => {
    const all = [...items];
    const chosen = all.filter(() => random.chance(2));
    return chosen.length === 0 ? [pickFrom(random, all)] : chosen;
  };
  return {
    kinds: theme.kinds.split(" ") as Kind[],
    tags: some(universe.tags),
    blobs: some(universe.blobs.keys()),
    manifests: theme.manifests,
    elsewhere: random.pick([2, 20]),
  };
}

export function generate(random: Random, universe: Universe, size: Size): Program {
  const focus = chooseFocus(random, universe);
  const before: Operation[] = [...universe.blobs.keys()].map((blob) => ({ kind: "push-blob", repository: "r0", blob }));
  for (const manifest of focus.manifests) {
    if (random.chance(2)) before.push({ kind: "push", repository: "r0", manifest, tags: someTags(random, focus) });
  }
  const clients = Array.from({ length: size.clients }, () =>
    Array.from({ length: size.operations }, () => operation(random, focus)),
  );
  return { before, clients };
}

function pickFrom<T>(random: Random, items: Iterable<T>): T {
  const all = [...items];
  const picked = all[random.int(all.length)];
  if (picked === undefined) throw new Error("nothing to pick from");
  return picked;
}

const someTags = (random: Random, { tags }: Focus): readonly string[] =>
  random.chance(3) ? tags.toReversed() : random.chance(6) ? [] : [pickFrom(random, tags)];

function operation(random: Random, focus: Focus): Operation {
  const kind = pickFrom(random, focus.kinds);
  const where = { repository: random.chance(focus.elsewhere) ? "r1" : "r0" };
  const blob = pickFrom(random, focus.blobs);
  const manifest = pickFrom(random, focus.manifests);
  switch (kind) {
    case "push": {
      const condition = someCondition(random, focus);
      return { kind, ...where, manifest, tags: someTags(random, focus), ...(condition && { condition }) };
    }
    case "mount":
      return { kind, ...where, from: where.repository === "r0" ? "r1" : "r0", blob };
    case "push-blob":
    case "head-blob":
    case "get-blob":
    case "delete-blob":
      return { kind, ...where, blob };
    case "get-tag":
    case "delete-tag":
      return { kind, ...where, tag: pickFrom(random, focus.tags) };
    case "get-manifest":
    case "delete-manifest":
      return { kind, ...where, manifest };
    case "list-tags":
      return { kind, ...where };
    case "list-referrers":
      return { kind, ...where, subject: "m0", mostItems: 1 + random.int(3) };
    case "expire":
      return { kind, blob };
    case "collect":
      return { kind };
  }
  return kind satisfies never;
}

function someCondition(random: Random, { manifests }: Focus): Condition | undefined {
  if (!random.chance(3)) return undefined;
  if (random.chance(4)) return { kind: "is-absent" };
  if (random.chance(4)) return { kind: "exists" };
  return { kind: "is-one-of", manifests: [pickFrom(random, manifests), pickFrom(random, manifests)] };
}
