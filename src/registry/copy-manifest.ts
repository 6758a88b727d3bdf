import type { Digest } from "../oci/digest.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import type { RepositoryName, Tag } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import type { Reference } from "../oci/reference.ts";
import { mountBlob } from "./blobs.ts";
import { findManifest, type StoredManifest } from "./manifests.ts";
import { type PushCondition, pushManifest } from "./push-manifest.ts";
import type { Registry } from "./registry.ts";
import { presentManifests } from "./summaries.ts";

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

/**
 * Makes a manifest of one repository one of another too, with all that it names, and gives it tags there. No byte is copied:
 * blobs get one more membership. What it names comes first, as in a push, and a copy that is broken off leaves nothing
 * that a pull could see.
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, and what a push is refused with
 */
export async function copyManifest(registry: Registry, copy: ManifestCopy): Promise<Digest> {
  const { source, target, tags, condition } = copy;
  const found = await findManifest(registry, source, copy.reference);
  const all = source === target ? [parsed(found)] : await withChildren(registry, source, found);
  for (const { stored, manifest } of all) {
    if (source !== target) await mountContent(registry, copy, manifest);
    const isIt = stored.digest === found.digest;
    const { digest, bytes } = stored;
    const push = { repository: target, digest, bytes, manifest, tags: isIt ? tags : [] };
    await pushManifest(registry, { ...push, ...(isIt && condition && { condition }) });
  }
  return found.digest;
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

/** What cannot be mounted is what the push of the manifest tells. */
async function mountContent(registry: Registry, { source, target }: ManifestCopy, manifest: Manifest): Promise<void> {
  const digests = new Set(manifest.edges.flatMap(({ kind, digest }) => (kind === "child" ? [] : digest)));
  for (const digest of digests) await mountBlob(registry, { repository: target, digest, sources: [source] });
}
