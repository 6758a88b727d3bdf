import type { Digest } from "../oci/digest.ts";
import { type EdgeKind, type Manifest, parseManifest } from "../oci/manifest.ts";
import type { RepositoryName, Tag } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import type { Reference } from "../oci/reference.ts";
import type { RecordingWriter } from "../platform/events/record-events.ts";
import { mountBlob } from "./blobs.ts";
import { findManifest, type StoredManifest } from "./manifests.ts";
import { type ManifestPush, type PushCondition, pushManifest, rehearsePush } from "./push-manifest.ts";
import type { Registry } from "./registry.ts";
import { presentBlobs, presentManifests } from "./summaries.ts";

export interface ManifestCopy {
  readonly source: RepositoryName;
  readonly reference: Reference;
  readonly target: RepositoryName;
  /** What shall name it there; all of them or none. */
  readonly tags: readonly Tag[];
  readonly condition?: PushCondition | undefined;
}

/** More than an index of all platforms has many times over; each is a transaction. */
const mostManifests = 1000;

/** What is to be copied, the manifest itself at the end, and what of it is new to the repository. */
export interface CopyPlan {
  readonly copy: ManifestCopy;
  readonly digest: Digest;
  readonly newManifests: number;
  readonly newBlobs: number;
  readonly all: readonly Parsed[];
}

/**
 * Looks at what a copy would bring.
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, and MANIFEST_BLOB_UNKNOWN where content is needed that is not there
 */
export async function planCopy(registry: Registry, copy: ManifestCopy): Promise<CopyPlan> {
  const { source, target } = copy;
  const found = await findManifest(registry, source, copy.reference);
  if (source === target) return { copy, digest: found.digest, newManifests: 0, newBlobs: 0, all: [parsed(found)] };
  const all = await withChildren(registry, source, found);
  const manifests = all.flatMap(({ stored, manifest }) => [stored.digest, ...digestsOf(manifest, isChild)]);
  const content = all.flatMap(({ manifest }) => digestsOf(manifest, () => true));
  const here = {
    manifests: await presentManifests(registry, target, manifests),
    blobs: await presentBlobs(registry, target, content),
  };
  const there = await presentBlobs(registry, source, content);
  const copied = new Set<string>(all.map(({ stored }) => stored.digest));
  const isKnown = (digest: string): boolean =>
    copied.has(digest) || there.has(digest) || here.blobs.has(digest) || here.manifests.has(digest);
  requireContent(registry, all, isKnown);
  return {
    copy,
    digest: found.digest,
    newManifests: copied.difference(here.manifests).size,
    newBlobs: there.difference(here.blobs).size,
    all,
  };
}

/**
 * Makes a manifest of one repository one of another too, with all that it names, and gives it tags there. No byte is copied:
 * blobs get one more membership. What it names comes first, as in a push, and a copy that is broken off leaves nothing
 * that a pull could see.
 * @throws RegistryError what a push is refused with
 */
export async function copyManifest(registry: Registry, { copy, digest, all }: CopyPlan): Promise<void> {
  for (const one of all) {
    if (copy.source !== copy.target) await mountContent(registry, copy, one.manifest);
    await pushManifest(registry, pushOf(copy, one, digest));
  }
}

/**
 * Does the last step of a copy, in a transaction that is undone.
 * @throws RegistryError what a push is refused with
 */
export async function rehearseCopy(
  registry: Registry,
  tx: RecordingWriter,
  { copy, digest, all }: CopyPlan,
): Promise<void> {
  for (const one of all.slice(-1)) await rehearsePush(registry, tx, pushOf(copy, one, digest));
}

/** Tags and their condition are for the manifest itself, not for what it names. */
function pushOf({ target, tags, condition }: ManifestCopy, { stored, manifest }: Parsed, root: Digest): ManifestPush {
  const { digest, bytes } = stored;
  const push = { repository: target, digest, bytes, manifest };
  return digest === root ? { ...push, tags, ...(condition && { condition }) } : { ...push, tags: [] };
}

interface Parsed {
  readonly stored: StoredManifest;
  readonly manifest: Manifest;
}

const parsed = (stored: StoredManifest): Parsed => ({
  stored,
  manifest: parseManifest(stored.bytes, stored.mediaType),
});

/** A manifest behind all those that it names and that are there, each once. */
async function withChildren(
  registry: Registry,
  source: RepositoryName,
  root: StoredManifest,
): Promise<readonly Parsed[]> {
  const inOrder: Parsed[] = [];
  const seen = new Set<string>();
  const visit = async (stored: StoredManifest): Promise<void> => {
    seen.add(stored.digest);
    if (seen.size > mostManifests)
      fail({ code: "CONFLICT", reasons: [`it names more than ${mostManifests} manifests`] });
    const one = parsed(stored);
    const named = one.manifest.edges.flatMap(({ kind, digest }) => (kind === "child" ? digest : []));
    const present = await presentManifests(registry, source, named);
    for (const digest of named) {
      if (present.has(digest) && !seen.has(digest)) {
        await visit(await findManifest(registry, source, { kind: "digest", digest }));
      }
    }
    inOrder.push(one);
  };
  await visit(root);
  return inOrder;
}

const isChild = (kind: EdgeKind): boolean => kind === "child";

const digestsOf = ({ edges }: Manifest, wanted: (kind: EdgeKind) => boolean): readonly Digest[] => [
  ...new Set(edges.flatMap(({ kind, digest }) => (wanted(kind) ? digest : []))),
];

/** What a push would refuse, before anything is copied. @throws RegistryError MANIFEST_BLOB_UNKNOWN */
function requireContent({ settings }: Registry, all: readonly Parsed[], isKnown: (digest: string) => boolean): void {
  const isNeeded = (kind: EdgeKind): boolean =>
    kind === "content" ? !settings.sparseImages : kind === "child" && !settings.sparseIndexes;
  const missing = all.flatMap(({ manifest }) => digestsOf(manifest, isNeeded)).find((digest) => !isKnown(digest));
  if (missing !== undefined) fail({ code: "MANIFEST_BLOB_UNKNOWN", digest: missing });
}

/** What cannot be mounted is what the push of the manifest tells. */
async function mountContent(registry: Registry, { source, target }: ManifestCopy, manifest: Manifest): Promise<void> {
  for (const digest of digestsOf(manifest, (kind) => !isChild(kind))) {
    await mountBlob(registry, { repository: target, digest, sources: [source] });
  }
}
