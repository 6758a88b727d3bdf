import { sql } from "kysely";
import type { Digest } from "../oci/digest.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/names.ts";
import type { Registry } from "./registry.ts";
import { isVisible, type Visible } from "./repositories.ts";

const mostSources = 32;

/** Repositories that have a blob and that the caller may read, those of the target's own namespace first. */
export async function findMountSources(
  { database }: Registry,
  visible: Visible,
  { repository, digest }: { readonly repository: RepositoryName; readonly digest: Digest },
): Promise<readonly RepositoryName[]> {
  const slash = repository.indexOf("/");
  const namespace = repository.slice(0, slash + 1);
  // Repositories without a slash are the root namespace's.
  const isOwn =
    slash === -1 ? sql`name not like '%/%'` : sql`substr(name, 1, ${sql.lit(namespace.length)}) = ${namespace}`;
  const rows = await database.read
    .selectFrom("repositories")
    .select("name")
    .where("id", "in", (expression) =>
      expression.selectFrom("repository_blobs").select("repository_id").where("repository_blobs.digest", "=", digest),
    )
    .where(isVisible(visible))
    .orderBy(sql<number>`case when ${isOwn} then 0 else 1 end`)
    .orderBy("name")
    .limit(mostSources)
    .execute();
  return rows.flatMap(({ name }) => parseRepositoryName(name) ?? []);
}
