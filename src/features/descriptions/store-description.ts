import type { Labels } from "../../access/api/labels.ts";
import { requireRevision } from "../../access/require-revision.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { Database, Reader, Writer } from "../../platform/database/database.ts";
import { type RecordingWriter, recordEvents } from "../../platform/events/record-events.ts";
import { keepRepository } from "../../registry/repositories.ts";
import { labelsOf, replaceLabels } from "./labels.ts";

export interface Description {
  readonly text: string;
  readonly labels: Labels;
  readonly revision: number;
  readonly updatedAt: number | undefined;
}

export async function findDescription(reader: Reader | Writer, id: number): Promise<Description> {
  const row = await reader
    .selectFrom("repository_descriptions")
    .select(["text", "revision", "updated_at"])
    .where("repository_id", "=", id)
    .executeTakeFirst();
  const { text = "", revision = 0, updated_at: updatedAt } = row ?? {};
  return { text, labels: (await labelsOf(reader, [id])).get(id) ?? {}, revision, updatedAt };
}

/** For the transaction that deletes the repository. */
export async function dropDescription(tx: Writer, repositoryId: number): Promise<void> {
  await tx.deleteFrom("repository_descriptions").where("repository_id", "=", repositoryId).execute();
}

interface NewDescription {
  readonly repository: RepositoryName;
  /** What is not given stays. */
  readonly text: string | undefined;
  readonly labels: Labels | undefined;
  readonly expected: number | undefined;
  readonly updatedAt: number;
}

/** @throws RegistryError NAME_UNKNOWN, REVISION_STALE */
export async function storeDescription(
  tx: RecordingWriter,
  database: Database,
  { repository: name, text, labels, expected, updatedAt }: NewDescription,
): Promise<Description> {
  const id = (await keepRepository(tx, database, name)) ?? fail({ code: "NAME_UNKNOWN", name });
  const before = await findDescription(tx, id);
  requireRevision(expected, before.revision);
  if (text === undefined && labels === undefined) return before;
  const revision = before.revision + 1;
  const after = { text: text ?? before.text, labels: labels ?? before.labels, revision, updatedAt };
  const row = { text: after.text, revision, updated_at: updatedAt };
  // Of two at once the second waits here, and finds that the first has made another revision.
  const stored = await tx
    .insertInto("repository_descriptions")
    .values({ repository_id: id, ...row })
    .onConflict((conflict) =>
      conflict.column("repository_id").doUpdateSet(row).where("repository_descriptions.revision", "=", before.revision),
    )
    .returning("revision")
    .executeTakeFirst();
  if (stored === undefined) fail({ code: "REVISION_STALE", current: revision });
  const target = { id: String(id), name };
  if (text !== undefined) {
    const [from, to] = [{ revision: before.revision }, { revision }];
    recordEvents(tx, { kind: "access-changed", action: "description-changed", target, before: from, after: to });
  }
  if (labels !== undefined) {
    await replaceLabels(tx, { id, name, labels });
    recordEvents(tx, {
      kind: "access-changed",
      action: "labels-changed",
      target,
      before: before.labels,
      after: labels,
    });
  }
  return after;
}
