import { sql } from "kysely";
import type { DigestAlgorithm } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import { clock } from "../../platform/database/clock.ts";
import type { Writer } from "../../platform/database/database.ts";
import { type Given, prepared, within } from "../../platform/database/prepared.ts";
import type { Registry } from "../registry.ts";
import { newHolder, type Session, sessionWrite, toSession } from "./session.ts";

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
  const { repository, principal, algorithm } = upload;
  const id = crypto.randomUUID();
  const claimed = { holder, heldMs: holder === null ? null : registry.settings.uploads.holdMs };
  try {
    return await database.write(async (tx) => {
      await checkSessionCount(registry, tx, principal);
      const { key, state } = begun;
      const [row] = await insert(within(tx, database), {
        repository,
        principal,
        algorithm,
        id,
        key,
        state,
        ...claimed,
      });
      if (row === undefined) throw new Error("an insert returned no row");
      return row;
    }, sessionWrite);
  } catch (error) {
    await blobs.cancel(begun);
    throw error;
  }
}

interface NewRow {
  readonly id: string;
  readonly repository: string;
  readonly principal: string;
  readonly algorithm: string;
  readonly key: string;
  readonly state: string;
  readonly holder: string | null;
  /** `null` where nobody holds it. */
  readonly heldMs: number | null;
}

const insert = prepared((write, given: NewRow & Given, dialect) => {
  const now = clock(dialect);
  return write
    .insertInto("uploads")
    .values({
      id: given.id,
      repository: given.repository,
      principal: given.principal,
      algorithm: given.algorithm,
      holder: given.holder,
      blob_key: given.key,
      state: given.state,
      size_bytes: 0,
      digest: null,
      started_at: now,
      active_at: now,
      held_until: sql<number>`coalesce(${now} + ${given.heldMs}, 0)`,
    })
    .returningAll();
});

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

const countSessions = prepared((read, { principal }: { readonly principal: string }) =>
  read
    .selectFrom("uploads")
    .select(({ fn }) => [
      fn.countAll<number>().as("total"),
      fn.countAll<number>().filterWhere("principal", "=", principal).as("own"),
    ]),
);

async function checkSessionCount({ database, settings }: Registry, tx: Writer, principal: string): Promise<void> {
  const { maxSessions, maxSessionsPerPrincipal } = settings.uploads;
  const [count] = await countSessions(within(tx, database), { principal });
  if (count === undefined || count.total >= maxSessions || count.own >= maxSessionsPerPrincipal) {
    const reason = "too many uploads are open; finish or cancel some, or wait until idle ones expire";
    fail({ code: "TOO_MANY_REQUESTS", reason, retryAfterSeconds });
  }
}
