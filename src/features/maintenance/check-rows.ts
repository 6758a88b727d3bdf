import { algorithmOf, parseDigest } from "../../oci/digest.ts";
import { visibilities } from "../../oci/visibility.ts";
import type { Registry } from "../../registry/registry.ts";
import { startHash } from "../../registry/uploads/running-hashes.ts";
import type { Finding } from "./finding.ts";

/** Manifests are up to 4 MiB each. */
const manifestsAtOnce = 16;

/** What the database says, against itself. Each question is one statement, so a change in between cannot mislead it. */
export async function* checkRows(registry: Registry): AsyncGenerator<Finding> {
  yield* danglingTags(registry);
  yield* membershipsWithout(registry, "blob");
  yield* membershipsWithout(registry, "manifest");
  yield* unknownVisibilities(registry);
  yield* wrongManifests(registry);
}

async function* danglingTags({ database: { read } }: Registry): AsyncGenerator<Finding> {
  const rows = await read
    .selectFrom("tags")
    .innerJoin("repositories", "repositories.id", "tags.repository_id")
    .leftJoin("repository_manifests", (join) =>
      join
        .onRef("repository_manifests.repository_id", "=", "tags.repository_id")
        .onRef("repository_manifests.digest", "=", "tags.digest"),
    )
    .select(["repositories.name as repository", "tags.name as tag", "tags.digest"])
    .where("repository_manifests.digest", "is", null)
    .execute();
  for (const row of rows) yield { kind: "dangling-tag", ...row };
}

async function* unknownVisibilities({ database: { read } }: Registry): AsyncGenerator<Finding> {
  const rows = await read
    .selectFrom("repositories")
    .select(["name as repository", "visibility as found"])
    .where("visibility", "not in", visibilities)
    .execute();
  for (const row of rows) yield { kind: "unknown-visibility", ...row };
}

async function* membershipsWithout(
  { database: { read } }: Registry,
  what: "blob" | "manifest",
): AsyncGenerator<Finding> {
  const rows =
    what === "blob"
      ? await read
          .selectFrom("repository_blobs as membership")
          .innerJoin("repositories", "repositories.id", "membership.repository_id")
          .leftJoin("blobs", "blobs.digest", "membership.digest")
          .select(["repositories.name as repository", "membership.digest"])
          .where("blobs.digest", "is", null)
          .execute()
      : await read
          .selectFrom("repository_manifests as membership")
          .innerJoin("repositories", "repositories.id", "membership.repository_id")
          .leftJoin("manifests", "manifests.digest", "membership.digest")
          .select(["repositories.name as repository", "membership.digest"])
          .where("manifests.digest", "is", null)
          .execute();
  for (const row of rows) yield { kind: `membership-without-${what}`, ...row };
}

async function* wrongManifests({ database: { read } }: Registry): AsyncGenerator<Finding> {
  for (let after = ""; ;) {
    const rows = await read
      .selectFrom("manifests")
      .select(["digest", "bytes"])
      .where("digest", ">", after)
      .orderBy("digest")
      .limit(manifestsAtOnce)
      .execute();
    for (const { digest, bytes } of rows) {
      const parsed = parseDigest(digest);
      if (parsed === undefined) {
        yield { kind: "invalid-digest", digest };
        continue;
      }
      const hash = startHash(algorithmOf(parsed));
      hash.update(bytes);
      if (hash.digest() !== parsed) yield { kind: "wrong-manifest", digest, found: hash.digest() };
    }
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.digest;
  }
}
