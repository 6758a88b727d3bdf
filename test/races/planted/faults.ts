import type { Digest } from "../../../src/oci/digest.ts";
import type { RepositoryName } from "../../../src/oci/names.ts";
import { fail } from "../../../src/oci/problem.ts";
import { writeEvents } from "../../../src/platform/events/record-events.ts";
import { addBlobToRepository } from "../../../src/registry/blobs.ts";
import type { StoredManifest } from "../../../src/registry/manifests.ts";
import { type ManifestPush, pushManifest } from "../../../src/registry/push-manifest.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { realParts, type RegistryParts } from "../program/execute.ts";
import { dropManifestRows, dropTags, readTag, setTag } from "./rows.ts";

/** Mistakes that registries were published with, each in place of what is right; made anew for each run. */
export const faults: Readonly<Record<string, () => Partial<RegistryParts>>> = {
  "an update of a tag is lost": () => ({ pushManifest: pushWithLostUpdate }),
  "If-Match is checked outside the transaction": () => ({ pushManifest: pushWithEarlyCheck }),
  "a tag moves before the content is checked": () => ({ pushManifest: pushTagsFirst }),
  "several tags move one after the other": () => ({ pushManifest: pushTagByTag }),
  "a read is older than an acknowledged write": withStaleCache,
  "a tag that moves while it is read is told to be absent": () => ({ findManifest: findInTwoReads }),
  "a delete leaves a tag that names nothing": () => ({ deleteManifest: deleteTagsFirst }),
  "two deletes of one blob are both told that they did it": () => ({ deleteBlob: deleteUnasked }),
  "the collector does not look at the lease again": () => ({ collect: collectUnasked }),
  "a HEAD renews no lease": () => ({ renewLease: async () => {} }),
  "a mount looks at its source outside the transaction": () => ({ mountBlob: mountUnasked }),
  "a page of referrers misses one that was there": () => ({ listReferrers: listInTwoReads }),
  "the last manifest that goes leaves no lease": () => ({ deleteManifest: deleteWithoutLease }),
};

/** Compare and set, where nobody looks whether it was set. */
const pushWithLostUpdate: RegistryParts["pushManifest"] = async (registry, push) => {
  const { repository, tags } = push;
  if (push.condition !== undefined) return pushManifest(registry, push);
  const before = await readTags(registry, push);
  const pushed = await pushManifest(registry, { ...push, tags: [] });
  await registry.database.write(async (tx) => {
    for (const [at, tag] of tags.entries()) {
      const current = before[at];
      if (current === undefined) await setTag(tx, { repository, tag, digest: push.digest });
      else await setTag(tx, { repository, tag, digest: push.digest, onlyFrom: current });
    }
  });
  return pushed;
};

/** One after the other, as a client has one turn at a time. */
async function readTags(
  registry: Registry,
  { repository, tags }: ManifestPush,
): Promise<readonly (Digest | undefined)[]> {
  const found: (Digest | undefined)[] = [];
  for (const tag of tags) found.push(await readTag(registry, repository, tag));
  return found;
}

const pushWithEarlyCheck: RegistryParts["pushManifest"] = async (registry, { condition, ...push }) => {
  if (condition === undefined || push.tags.length === 0) {
    return pushManifest(registry, condition === undefined ? push : { ...push, condition });
  }
  for (const tag of push.tags) {
    const current = await readTag(registry, push.repository, tag);
    const holds =
      condition.kind === "is-absent"
        ? current === undefined
        : current !== undefined && (condition.kind === "exists" || condition.digests.includes(current));
    if (!holds) return fail({ code: "PRECONDITION_FAILED", current: undefined });
  }
  return pushManifest(registry, push);
};

const pushTagsFirst: RegistryParts["pushManifest"] = async (registry, push) => {
  const before = await readTags(registry, push);
  await moveAll(registry, push);
  try {
    return await pushManifest(registry, push);
  } catch (error) {
    await registry.database.write(async (tx) => {
      for (const [at, tag] of push.tags.entries()) {
        const digest = before[at];
        if (digest === undefined) await dropTags(tx, { repository: push.repository, digest: push.digest, tag });
        else await setTag(tx, { repository: push.repository, tag, digest });
      }
    });
    throw error;
  }
};

const moveAll = (registry: Registry, { repository, tags, digest }: ManifestPush): Promise<void> =>
  registry.database.write(async (tx) => {
    for (const tag of tags) await setTag(tx, { repository, tag, digest });
  });

const pushTagByTag: RegistryParts["pushManifest"] = async (registry, push) => {
  let pushed = { absent: [] } as Awaited<ReturnType<typeof pushManifest>>;
  if (push.tags.length < 2) return pushManifest(registry, push);
  for (const tag of push.tags) pushed = await pushManifest(registry, { ...push, tags: [tag] });
  return pushed;
};

/** A cache that is emptied before the commit: who reads in between fills it with what is about to change. */
function withStaleCache(): Partial<RegistryParts> {
  const cache = new Map<string, StoredManifest>();
  const forget = (repository: RepositoryName): void => {
    for (const key of cache.keys()) if (key.startsWith(`${repository}:`)) cache.delete(key);
  };
  return {
    async findManifest(registry, repository, reference) {
      if (reference.kind === "digest") return realParts.findManifest(registry, repository, reference);
      const key = `${repository}:${reference.tag}`;
      const found = cache.get(key) ?? (await realParts.findManifest(registry, repository, reference));
      cache.set(key, found);
      return found;
    },
    async pushManifest(registry, push) {
      forget(push.repository);
      return pushManifest(registry, push);
    },
    async deleteManifest(registry, repository, digest) {
      forget(repository);
      return realParts.deleteManifest(registry, repository, digest);
    },
    async deleteTag(registry, repository, tag) {
      forget(repository);
      return realParts.deleteTag(registry, repository, tag);
    },
  };
}

const findInTwoReads: RegistryParts["findManifest"] = async (registry, repository, reference) => {
  if (reference.kind === "digest") return realParts.findManifest(registry, repository, reference);
  const digest = await readTag(registry, repository, reference.tag);
  if (digest === undefined) return fail({ code: "MANIFEST_UNKNOWN", reference: reference.tag });
  return realParts.findManifest(registry, repository, { kind: "digest", digest });
};

const deleteTagsFirst: RegistryParts["deleteManifest"] = async (registry, repository, digest) => {
  await registry.database.write((tx) => dropTags(tx, { repository, digest }));
  const isRemoved = await registry.database.write((tx) => dropManifestRows(tx, { repository, digest }));
  if (!isRemoved) fail({ code: "MANIFEST_UNKNOWN", reference: digest });
};

const deleteUnasked: RegistryParts["deleteBlob"] = async (registry, repository, digest) => {
  await realParts.findBlob(registry, repository, digest);
  await Promise.allSettled([realParts.deleteBlob(registry, repository, digest)]);
};

const collectUnasked: RegistryParts["collect"] = async (registry) => {
  const due = await registry.database.read
    .selectFrom("repository_blobs")
    .select(["repository_id", "digest"])
    .where("leased_until", "<", 2)
    .execute();
  await registry.database.write(async (tx) => {
    for (const row of due) {
      await tx
        .deleteFrom("repository_blobs")
        .where("repository_id", "=", row.repository_id)
        .where("digest", "=", row.digest)
        .execute();
    }
  });
  return { uploads: 0, memberships: due.length, blobs: 0, files: 0 };
};

const mountUnasked: RegistryParts["mountBlob"] = async (registry, { repository, digest, sources }) => {
  const [source] = sources;
  if (source === undefined) return false;
  const [found] = await Promise.allSettled([realParts.findBlob(registry, source, digest)]);
  if (found.status === "rejected") return false;
  await writeEvents(registry.database, (tx) => addBlobToRepository(registry, tx, { repository, digest }), registry.by);
  return true;
};

const deleteWithoutLease: RegistryParts["deleteManifest"] = (registry, repository, digest) =>
  realParts.deleteManifest({ ...registry, settings: { ...registry.settings, leaseMs: -1000 } }, repository, digest);

/** How many come first, then as many of them: what is pushed in between takes the place of one that was there. */
const listInTwoReads: RegistryParts["listReferrers"] = async (registry, request) => {
  const counted = await realParts.listReferrers(registry, request);
  const { items } = await realParts.listReferrers(registry, { ...request, mostItems: counted.items.length || 1 });
  return { items: counted.items.length === 0 ? [] : items, isLast: counted.isLast };
};
