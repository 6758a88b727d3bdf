import type { Registry } from "../../registry/registry.ts";
import { isRegistryEmpty } from "../../registry/restore.ts";
import { nameOf } from "./document-names.ts";
import { readState } from "./journal-state.ts";

/** Why no server should run on this database and store, if there is a reason. */
export async function startProblem({ database, blobs }: Registry): Promise<string | undefined> {
  const state = await readState(database.read);
  if (state?.rebuilding === 1) return "a rebuild has not come to its end; run `berth rebuild --replace`";
  if (state !== undefined || !(await blobs.documents.list()).includes(nameOf({ kind: "identity" }))) return undefined;
  if (!(await isRegistryEmpty(database.read))) return undefined;
  return (
    "the database is empty, and the blob store holds the journal of a registry; run `berth rebuild` to have it back, " +
    "or move the folder journal away to begin anew"
  );
}
