import { toTime } from "../../access/api/parameters.ts";
import { type Route, route } from "../../access/api/route.ts";
import { requireRevision } from "../../access/require-revision.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { Database, Reader, Writer } from "../../platform/database/database.ts";
import { type RecordingWriter, recordEvents } from "../../platform/events/record-events.ts";
import { findRepository, keepRepository } from "../../registry/repositories.ts";
import * as contracts from "./contract.ts";

export interface DescriptionRoutesDeps {
  readonly database: Database;
  readonly now: () => number;
}

export const descriptionRoutes = ({ database, now }: DescriptionRoutesDeps): readonly Route[] => [
  route(contracts.showDescription, async ({ params: { repository } }) => {
    const id = await findRepository(database.read, repository);
    return shown(await findDescription(database.read, requireFound(id, repository)));
  }),
  route(contracts.setDescription, ({ params: { repository }, body: { text }, expected, commit }) =>
    commit((tx) => storeDescription(tx, database, { repository, text, expected, updatedAt: now() })),
  ),
];

const none = { text: "", revision: 0, updated_at: undefined };
type Found = Omit<typeof none, "updated_at"> & { readonly updated_at: number | undefined };

const shown = ({ text, revision, updated_at: at }: Found) => ({
  text,
  revision,
  ...(at !== undefined && { updatedAt: toTime(at) }),
});

/** @throws RegistryError NAME_UNKNOWN */
const requireFound = (id: number | undefined, name: RepositoryName): number =>
  id ?? fail({ code: "NAME_UNKNOWN", name });

async function findDescription(reader: Reader | Writer, repositoryId: number): Promise<Found> {
  const row = await reader
    .selectFrom("repository_descriptions")
    .select(["text", "revision", "updated_at"])
    .where("repository_id", "=", repositoryId)
    .executeTakeFirst();
  return row ?? none;
}

/** For the transaction that deletes the repository. */
export async function dropDescription(tx: Writer, repositoryId: number): Promise<void> {
  await tx.deleteFrom("repository_descriptions").where("repository_id", "=", repositoryId).execute();
}

interface NewDescription {
  readonly repository: RepositoryName;
  readonly text: string;
  readonly expected: number | undefined;
  readonly updatedAt: number;
}

/** @throws RegistryError NAME_UNKNOWN, REVISION_STALE */
async function storeDescription(tx: RecordingWriter, database: Database, given: NewDescription) {
  const { repository, text, expected, updatedAt } = given;
  const id = requireFound(await keepRepository(tx, database, repository), repository);
  const current = (await findDescription(tx, id)).revision;
  requireRevision(expected, current);
  const next = { text, revision: current + 1, updated_at: updatedAt };
  // Of two at once the second waits here, and finds that the first has made another revision.
  const stored = await tx
    .insertInto("repository_descriptions")
    .values({ repository_id: id, ...next })
    .onConflict((conflict) =>
      conflict.column("repository_id").doUpdateSet(next).where("repository_descriptions.revision", "=", current),
    )
    .returning("revision")
    .executeTakeFirst();
  if (stored === undefined) fail({ code: "REVISION_STALE", current: current + 1 });
  recordEvents(tx, {
    kind: "access-changed",
    action: "description-changed",
    target: { id: String(id), name: repository },
    before: { revision: current },
    after: { revision: next.revision },
  });
  return shown(next);
}
