import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import type { Reference } from "../oci/reference.ts";
import { prepared } from "../platform/database/prepared.ts";
import { checkReadGates, type Registry } from "./registry.ts";
import { findRepository } from "./repositories.ts";

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, or a read gate's problem */
export async function findManifest(
  registry: Registry,
  repository: RepositoryName,
  reference: Reference,
): Promise<StoredManifest> {
  const { database } = registry;
  const [row] = await (reference.kind === "tag"
    ? byTag(database, { name: repository, tag: reference.tag })
    : byDigest(database, { name: repository, digest: reference.digest }));
  if (row === undefined) return failUnknown(registry, repository, referenceText(reference));
  const found = toStored(row);
  checkReadGates(registry, repository, found.digest);
  return found;
}

const referenceText = (reference: Reference): string => (reference.kind === "tag" ? reference.tag : reference.digest);

/** Says which of the two is missing: the repository or the manifest in it. */
export async function failUnknown(registry: Registry, name: RepositoryName, reference: string): Promise<never> {
  const id = await findRepository(registry.database.read, name);
  return fail(id === undefined ? { code: "NAME_UNKNOWN", name } : { code: "MANIFEST_UNKNOWN", reference });
}

const byTag = prepared((read, given: { readonly name: string; readonly tag: string }) =>
  read
    .selectFrom("repositories")
    .innerJoin("tags", "tags.repository_id", "repositories.id")
    .innerJoin("manifests", "manifests.digest", "tags.digest")
    .select(["manifests.digest", "manifests.media_type", "manifests.bytes"])
    .where("repositories.name", "=", given.name)
    .where("tags.name", "=", given.tag),
);

const byDigest = prepared((read, given: { readonly name: string; readonly digest: string }) =>
  read
    .selectFrom("repositories")
    .innerJoin("repository_manifests", "repository_manifests.repository_id", "repositories.id")
    .innerJoin("manifests", "manifests.digest", "repository_manifests.digest")
    .select(["manifests.digest", "manifests.media_type", "manifests.bytes"])
    .where("repositories.name", "=", given.name)
    .where("repository_manifests.digest", "=", given.digest),
);

const toStored = (row: {
  readonly digest: string;
  readonly media_type: string;
  readonly bytes: Uint8Array;
}): StoredManifest => ({ digest: asDigest(row.digest), mediaType: row.media_type, bytes: row.bytes });

/** Only parsed digests are ever written to a row. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
export const asDigest = (stored: string): Digest => stored as Digest;
