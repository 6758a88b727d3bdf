import type { RepositoryName } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import { prepared } from "../platform/database/prepared.ts";
import type { Registry } from "./registry.ts";
import { findRepository, type Page, type PageRequest, toPage } from "./repositories.ts";

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
    // Not joined: so that PostgreSQL, too, takes them in the order of the index and no more than the page.
    .where("repository_id", "=", (expression) =>
      expression.selectFrom("repositories").select("id").where("name", "=", given.name),
    )
    .where("name", ">", given.after)
    .orderBy("name")
    .limit(given.limit),
);
