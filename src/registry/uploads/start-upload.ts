import type { DigestAlgorithm } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import { clock } from "../../platform/database/clock.ts";
import type { Writer } from "../../platform/database/database.ts";
import type { Registry } from "../registry.ts";
import { heldUntil, newHolder, type Session, sessionWrite, toSession } from "./session.ts";

export interface NewUpload {
  readonly repository: RepositoryName;
  readonly principal: string;
  /** What to hash with while the bytes come in, when the client says so early. */
  readonly algorithm: DigestAlgorithm;
}

const retryAfterSeconds = 30;

/**
 * Opens a session.
 * @param holder the request that asks, where it goes on to write at once; else anyone of the same principal may
 * @throws RegistryError TOO_MANY_REQUESTS
 */
async function insertSession(registry: Registry, upload: NewUpload, holder: string | null) {
  const { database, blobs } = registry;
  await blobs.requireRoom?.();
  const begun = await blobs.begin();
  const now = clock(database.dialect);
  const insert = (tx: Writer) =>
    tx
      .insertInto("uploads")
      .values({
        ...upload,
        id: crypto.randomUUID(),
        blob_key: begun.key,
        state: begun.state,
        size_bytes: 0,
        digest: null,
        started_at: now,
        active_at: now,
        holder,
        held_until: holder === null ? 0 : heldUntil(registry),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  try {
    return await database.write(async (tx) => {
      await checkSessionCount(registry, tx, upload.principal);
      return insert(tx);
    }, sessionWrite);
  } catch (error) {
    await blobs.cancel(begun);
    throw error;
  }
}

/** Opens a session that waits for its first bytes; its id. */
export async function startUpload(registry: Registry, upload: NewUpload): Promise<string> {
  return (await insertSession(registry, upload, null)).id;
}

/** Opens a session for a request that brings the whole blob with it. */
export async function startSession(registry: Registry, upload: NewUpload): Promise<Session> {
  const askedAt = performance.now();
  const row = await insertSession(registry, upload, newHolder(registry));
  const target = { repository: upload.repository, principal: upload.principal, id: row.id };
  return toSession(registry, { row, target, askedAt });
}

async function checkSessionCount({ settings }: Registry, tx: Writer, principal: string): Promise<void> {
  const { maxSessions, maxSessionsPerPrincipal } = settings.uploads;
  const all = tx.selectFrom("uploads").select(({ fn }) => fn.countAll<number>().as("count"));
  const [total, own] = [
    await all.executeTakeFirstOrThrow(),
    await all.where("principal", "=", principal).executeTakeFirstOrThrow(),
  ];
  if (total.count >= maxSessions || own.count >= maxSessionsPerPrincipal) {
    const reason = "too many uploads are open; finish or cancel some, or wait until idle ones expire";
    fail({ code: "TOO_MANY_REQUESTS", reason, retryAfterSeconds });
  }
}
