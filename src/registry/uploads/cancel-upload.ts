import { fail } from "../../oci/problem.ts";
import { storedKey } from "../blobs.ts";
import type { UploadState } from "../../platform/blobs/blob-store.ts";
import { type Registry, writeChange } from "../registry.ts";
import { doomUploads } from "./doom-uploads.ts";
import { dropUpload, type UploadTarget } from "./session.ts";

/**
 * Ends a session and frees its bytes (distribution-spec, "Cancelling a blob upload").
 * @throws RegistryError BLOB_UPLOAD_UNKNOWN
 */
export async function cancelUpload(registry: Registry, target: UploadTarget): Promise<void> {
  const { id, repository, principal } = target;
  const rows = await writeChange(registry, async (tx) => {
    const ended = await tx
      .deleteFrom("uploads")
      .where((expression) => expression.and({ id, repository, principal }))
      .returning(["blob_key", "state", "holder"])
      .execute();
    await doomUploads(registry, tx, ended);
    return ended;
  });
  if (rows.length === 0) fail({ code: "BLOB_UPLOAD_UNKNOWN" });
  registry.hashes.drop(id);
  await dropBytes(registry, rows);
}

/** What the operator cancels: any session, whoever opened it; `false` where there is none of that id. */
export async function cancelUploadById(registry: Registry, id: string): Promise<boolean> {
  const rows = await writeChange(registry, async (tx) => {
    const ended = await tx
      .deleteFrom("uploads")
      .where("id", "=", id)
      .returning(["blob_key", "state", "holder"])
      .execute();
    await doomUploads(registry, tx, ended);
    return ended;
  });
  registry.hashes.drop(id);
  await dropBytes(registry, rows);
  return rows.length > 0;
}

/** What sessions that are over have left in the store goes at once; what cannot go now is the collector's. */
async function dropBytes(
  { blobs }: Registry,
  rows: readonly { readonly blob_key: string; readonly state: string }[],
): Promise<void> {
  for (const { blob_key, state } of rows) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the blob store gave it
    await dropUpload(blobs, { key: storedKey(blob_key), state: state as UploadState });
  }
}
