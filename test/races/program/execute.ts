import { chunksOf } from "../../../src/platform/blobs/blob-body.ts";
import type { Tag } from "../../../src/oci/names.ts";
import { RegistryError } from "../../../src/oci/problem.ts";
import { deleteBlob, findBlob, mountBlob, renewLease } from "../../../src/registry/blobs.ts";
import { collect } from "../../../src/registry/collect.ts";
import { deleteManifest, deleteTag } from "../../../src/registry/delete-manifest.ts";
import { findManifest } from "../../../src/registry/manifests.ts";
import { type ManifestPush, pushManifest } from "../../../src/registry/push-manifest.ts";
import { listReferrers } from "../../../src/registry/referrers.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { listTags } from "../../../src/registry/tags.ts";
import { digestOf, endLeases, storeBlob, tagName } from "../../support/registry.ts";
import { type Condition, done, incomplete, missing, type Operation, refused } from "./operation.ts";
import { known, type Universe } from "./universe.ts";

/** Does an operation and tells its outcome; anything but an outcome of the protocol is thrown. */
export type Execute = (operation: Operation, universe: Universe) => Promise<string>;

type Parts<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** The functions of the registry that a program calls; a planted fault has others in their place. */
export const realParts = {
  findBlob,
  renewLease,
  mountBlob,
  deleteBlob,
  collect,
  pushManifest,
  deleteManifest,
  deleteTag,
  findManifest,
  listTags,
  listReferrers,
};

export type RegistryParts = typeof realParts;

const outcomes: Readonly<Record<string, string>> = {
  BLOB_UNKNOWN: missing,
  MANIFEST_UNKNOWN: missing,
  NAME_UNKNOWN: missing,
  MANIFEST_BLOB_UNKNOWN: incomplete,
  PRECONDITION_FAILED: refused,
};

/** Works on the registry itself, without a server. */
export const executeOn =
  (registry: Registry, parts: RegistryParts = realParts): Execute =>
  async (operation, universe) => {
    try {
      return await act({ registry, universe, parts }, operation);
    } catch (error) {
      const outcome = error instanceof RegistryError ? outcomes[error.problems[0].code] : undefined;
      if (outcome === undefined) throw error;
      return outcome;
    }
  };

interface Stage {
  readonly registry: Registry;
  readonly universe: Universe;
  readonly parts: RegistryParts;
}

async function act(stage: Stage, operation: Operation): Promise<string> {
  const { registry, universe, parts } = stage;
  const where = known(universe.repositories, "repository" in operation ? operation.repository : "r0");
  switch (operation.kind) {
    case "push-blob":
      await storeBlob(registry, where, known(universe.blobs, operation.blob).text);
      return done;
    case "push":
      await parts.pushManifest(registry, pushOf(universe, operation));
      return done;
    case "mount": {
      const { digest } = known(universe.blobs, operation.blob);
      const sources = [known(universe.repositories, operation.from)];
      return (await parts.mountBlob(registry, { repository: where, digest, sources })) ? done : missing;
    }
    case "head-blob":
    case "get-blob":
      return readBlob(stage, operation);
    case "delete-blob":
      await parts.deleteBlob(registry, where, known(universe.blobs, operation.blob).digest);
      return done;
    case "get-tag":
    case "get-manifest":
      return readManifest(stage, operation);
    case "delete-tag":
      await parts.deleteTag(registry, where, tagName(operation.tag));
      return done;
    case "delete-manifest":
      await parts.deleteManifest(registry, where, known(universe.manifests, operation.manifest).content.digest);
      return done;
    case "list-tags":
    case "list-referrers":
      return list(stage, operation);
    case "expire":
      await endLeases(registry, known(universe.blobs, operation.blob).digest);
      return done;
    case "collect":
      await parts.collect(registry);
      return done;
  }
  return operation satisfies never;
}

function pushOf(universe: Universe, { repository, manifest, tags, condition }: Parts<"push">): ManifestPush {
  return {
    repository: known(universe.repositories, repository),
    ...known(universe.manifests, manifest).content,
    tags: tags.map((tag): Tag => tagName(tag)),
    ...(condition && { condition: conditionOf(universe, condition) }),
  };
}

const conditionOf = ({ manifests }: Universe, condition: Condition): NonNullable<ManifestPush["condition"]> =>
  condition.kind === "is-one-of"
    ? { kind: "is-one-of", digests: condition.manifests.map((name) => known(manifests, name).content.digest) }
    : condition;

/** A HEAD as of someone who may push. A GET reads the bytes, which must be those of the digest. */
async function readBlob(
  { registry, universe, parts }: Stage,
  { kind, repository, blob }: Parts<"head-blob" | "get-blob" | "delete-blob">,
): Promise<string> {
  const [name, { digest }] = [known(universe.repositories, repository), known(universe.blobs, blob)];
  const found = await parts.findBlob(registry, name, digest);
  if (kind === "head-blob") {
    await parts.renewLease(registry, name, digest);
    return done;
  }
  const body = await registry.blobs.open(found.key);
  if (body === undefined) return "a row without bytes";
  const bytes = Buffer.concat(await Array.fromAsync(chunksOf(body)));
  return digestOf(bytes) === digest ? done : "other bytes";
}

async function readManifest(
  { registry, universe, parts }: Stage,
  operation: Parts<"get-tag" | "delete-tag"> | Parts<"get-manifest" | "delete-manifest">,
): Promise<string> {
  const { digest, bytes } = await parts.findManifest(
    registry,
    known(universe.repositories, operation.repository),
    "tag" in operation
      ? { kind: "tag", tag: tagName(operation.tag) }
      : { kind: "digest", digest: known(universe.manifests, operation.manifest).content.digest },
  );
  return digestOf(bytes) === digest ? universe.nameOf(digest) : "other bytes";
}

async function list(
  { registry, universe, parts }: Stage,
  operation: Parts<"list-tags"> | Parts<"list-referrers">,
): Promise<string> {
  const repository = known(universe.repositories, operation.repository);
  if (operation.kind === "list-tags") {
    const page = await parts.listTags(registry, repository, { after: undefined, limit: 100 }).catch(nothingYet);
    return JSON.stringify(page.items);
  }
  const { items, isLast } = await parts.listReferrers(registry, {
    repository,
    subject: known(universe.manifests, operation.subject).content.digest,
    artifactTypes: [],
    after: undefined,
    mostItems: operation.mostItems,
    mostBytes: 1_000_000,
  });
  return JSON.stringify([items.map(({ digest }) => universe.nameOf(digest)), isLast]);
}

/** To a client that lists, a repository that was not yet made is an empty one. */
function nothingYet(error: unknown): { readonly items: readonly string[] } {
  if (error instanceof RegistryError && error.problems[0].code === "NAME_UNKNOWN") return { items: [] };
  throw error;
}
