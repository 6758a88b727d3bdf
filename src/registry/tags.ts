import type { RepositoryName } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import type { Registry } from "./registry.ts";
import { findRepository, type Page, type PageRequest, toPage } from "./repositories.ts";

/**
 * Names of a repository's tags, in byte order.
 * @throws RegistryError NAME_UNKNOWN
 */
export async function listTags(
  registry: Registry,
  name: RepositoryName,
  { after, limit }: PageRequest,
): Promise<Page<string>> {
  const repositoryId = (await findRepository(registry.database.read, name)) ?? fail({ code: "NAME_UNKNOWN", name });
  const rows = await registry.database.read
    .selectFrom("tags")
    .select("name")
    .where("repository_id", "=", repositoryId)
    .$if(after !== undefined, (query) => query.where("name", ">", after ?? ""))
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(
    rows.map((row) => row.name),
    limit,
  );
}
