import { expressionBuilder } from "kysely";
import type { LabelFilter, Labels } from "../../access/api/labels.ts";
import type { Reader, Tables, Writer } from "../../platform/database/database.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import { isVisible, type Page, type PageRequest, toPage, type Visible } from "../../registry/repositories.ts";
import { afterAllNames, type RepositorySummary } from "../../registry/summaries.ts";

/** The labels of these repositories, by their ids; one without any is not among them. */
export async function labelsOf(reader: Reader | Writer, ids: readonly number[]): Promise<ReadonlyMap<number, Labels>> {
  const found = new Map<number, [string, string][]>();
  for (const some of inChunks(ids)) {
    const rows = await reader
      .selectFrom("repository_labels")
      .select(["repository_id", "key", "value"])
      .where("repository_id", "in", some)
      .orderBy("repository_id")
      .orderBy("key")
      .execute();
    for (const { repository_id: id, key, value } of rows) {
      const labels = found.get(id);
      if (labels === undefined) found.set(id, [[key, value]]);
      else labels.push([key, value]);
    }
  }
  return new Map([...found].map(([id, labels]) => [id, Object.fromEntries(labels)]));
}

/** For the transaction that deletes the repository. */
export async function dropLabels(tx: Writer, repositoryId: number): Promise<void> {
  await tx.deleteFrom("repository_labels").where("repository_id", "=", repositoryId).execute();
}

interface Labelled {
  readonly id: number;
  readonly name: string;
  readonly labels: Labels;
}

/** In place of those that it has. Whoever calls it holds the row of its description. */
export async function replaceLabels(tx: Writer, { id, name, labels }: Labelled): Promise<void> {
  await dropLabels(tx, id);
  const rows = Object.entries(labels).map(([key, value]) => ({ repository_id: id, key, value, repository: name }));
  if (rows.length > 0) await tx.insertInto("repository_labels").values(rows).execute();
}

interface LabelledPage extends PageRequest {
  readonly label: LabelFilter;
  readonly prefix: string;
}

/** The visible repositories with the label whose names begin so, in byte order: the index of labels is gone along. */
export async function listLabelled(
  reader: Reader,
  visible: Visible,
  { label: { key, value }, prefix, after = "", limit }: LabelledPage,
): Promise<Page<RepositorySummary>> {
  const rows = await reader
    .selectFrom("repository_labels as label")
    // Crossed, so that SQLite takes them in this order: it would rather sort what is visible.
    .crossJoin("repositories")
    .whereRef("repositories.id", "=", "label.repository_id")
    .where(() => isVisible(visible)(expressionBuilder<Tables, "repositories">()))
    .where("label.key", "=", key)
    .$if(value !== undefined, (query) => query.where("label.value", "=", value ?? ""))
    .where("label.repository", ">", after)
    .$if(prefix !== "", (query) =>
      query.where("label.repository", ">=", prefix).where("label.repository", "<", `${prefix}${afterAllNames}`),
    )
    .select(["repositories.id", "repositories.name", "repositories.visibility", "repositories.created_at"])
    .orderBy("label.repository")
    .limit(limit + 1)
    .execute();
  return toPage(
    rows.map(({ created_at: createdAt, ...row }) => ({ ...row, createdAt })),
    limit,
  );
}
