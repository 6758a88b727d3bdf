import type { RepositoryName } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import { prepared } from "../platform/database/prepared.ts";
import type { Registry } from "./registry.ts";
import { findRepository, idOfRepository, type Page, type PageRequest, toPage } from "./repositories.ts";

/**
 * Names of a repository's tags, in byte order.
 * @throws RegistryError NAME_UNKNOWN
 */
export async function listTags(
  { database }: Registry,
  name: RepositoryName,
  { after = "", limit }: PageRequest,
): Promise<Page<string>> {
  const rows = await tagsAfter(database, { name, after, limit: limit + 1 });
  if (rows.length === 0 && (await findRepository(database.read, name)) === undefined)
    fail({ code: "NAME_UNKNOWN", name });
  return toPage(
    rows.map((row) => row.name),
    limit,
  );
}

const tagsAfter = prepared((read, given: { readonly name: string; readonly after: string; readonly limit: number }) =>
  read
    .selectFrom("tags")
    .select("name")
    .where("repository_id", "=", idOfRepository(given.name))
    .where("name", ">", given.after)
    .orderBy("name")
    .limit(given.limit),
);
