import type { UploadPosition } from "../../oci/problem.ts";
import type { Registry } from "../registry.ts";
import { type Chunk, receive } from "./receive.ts";
import { saveProgress, type UploadTarget, withSession } from "./session.ts";

/**
 * Adds a request's body to an upload (distribution-spec, "Pushing a blob in chunks").
 * @throws RegistryError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_OUT_OF_ORDER, SIZE_INVALID, TOO_LARGE
 */
export function appendUpload(
  registry: Registry,
  target: UploadTarget,
  chunk: Chunk & { readonly start: number | undefined },
): Promise<UploadPosition> {
  return withSession(registry, { target, start: chunk.start }, async (session) => {
    const hash = registry.hashes.take(session.id, session.sizeBytes, session.algorithm);
    const progress = await receive(registry, { session, hash }, chunk);
    const activeAt = await saveProgress(registry, session, progress);
    const { sizeBytes, state, digest } = progress;
    const { repository, principal, id } = target;
    const left = { repository, principal, upload: { key: session.upload.key, state }, sizeBytes, digest, activeAt };
    if (hash !== undefined) registry.hashes.keep(id, { sizeBytes, hash, left });
    return { repository, id, size: sizeBytes };
  });
}
