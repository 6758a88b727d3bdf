import { sql } from "kysely";
import { clock } from "../platform/database/clock.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import { storedKey } from "./blobs.ts";
import type { Registry } from "./registry.ts";
import { dropBytes } from "./uploads/cancel-upload.ts";

/** What one pass removed. */
export interface Collected {
  readonly uploads: number;
  readonly memberships: number;
  readonly blobs: number;
  readonly files: number;
}

/** Small steps, so that a writer in between never waits long. */
const mostInOneStep = 200;

/**
 * Removes what nobody needs any more, while everything else goes on: idle uploads, blobs whose lease has run out and
 * that no manifest names, and the bytes whose row went long enough ago.
 */
export async function collect(registry: Registry): Promise<Collected> {
  const uploads = await repeat(() => expireUploads(registry));
  const memberships = await repeat(() => dropMemberships(registry));
  const blobs = await repeat(() => dropBlobs(registry));
  const files = await repeat(() => deleteBytes(registry));
  return { uploads, memberships, blobs, files };
}

async function repeat(step: () => Promise<number>): Promise<number> {
  let total = 0;
  for (;;) {
    const done = await step();
    total += done;
    if (done < mostInOneStep) return total;
  }
}

/** By last activity: a slow upload that still moves is nobody's rubbish. */
async function expireUploads(registry: Registry): Promise<number> {
  const { database, settings } = registry;
  const now = clock(database.dialect);
  const rows = await database.write((tx) =>
    tx
      .deleteFrom("uploads")
      .where("id", "in", (expression) =>
        expression
          .selectFrom("uploads")
          .select("id")
          .where("active_at", "<", sql<number>`${now} - ${sql.lit(settings.uploads.idleMs)}`)
          .where("held_until", "<", now)
          .limit(mostInOneStep),
      )
      .returning(["blob_key", "state"])
      .execute(),
  );
  await dropBytes(registry, rows);
  return rows.length;
}

/** A repository's blob without an edge lasts as long as its lease. Rows are locked first and looked at after. */
async function dropMemberships({ database }: Registry): Promise<number> {
  const now = clock(database.dialect);
  const due = await database.read
    .selectFrom("repository_blobs")
    .select(["repository_id", "digest"])
    .where("leased_until", "<", now)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("edges")
            .select("child")
            .whereRef("edges.repository_id", "=", "repository_blobs.repository_id")
            .whereRef("edges.child", "=", "repository_blobs.digest"),
        ),
      ),
    )
    .limit(mostInOneStep)
    .execute();
  if (due.length === 0) return 0;
  await database.write(async (tx) => {
    const values = [...new Set(due.map((row) => row.digest))].toSorted();
    await lockRows(tx, database.dialect, { table: "blobs", column: "digest", values });
    for (const { repository_id, digest } of due) {
      await tx
        .deleteFrom("repository_blobs")
        .where("repository_id", "=", repository_id)
        .where("digest", "=", digest)
        .where("leased_until", "<", now)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom("edges")
                .select("child")
                .where("edges.repository_id", "=", repository_id)
                .where("edges.child", "=", digest),
            ),
          ),
        )
        .execute();
    }
  });
  return due.length;
}

/** A blob that no repository has: its row goes first, its bytes once no link to them can be alive. */
async function dropBlobs({ database, settings }: Registry): Promise<number> {
  const unused = await database.read
    .selectFrom("blobs")
    .leftJoin("repository_blobs", "repository_blobs.digest", "blobs.digest")
    .select("blobs.digest")
    .where("repository_blobs.digest", "is", null)
    .limit(mostInOneStep)
    .execute();
  if (unused.length === 0) return 0;
  const values = unused.map((row) => row.digest).toSorted();
  await database.write(async (tx) => {
    await lockRows(tx, database.dialect, { table: "blobs", column: "digest", values });
    const dropped = await tx
      .deleteFrom("blobs")
      .where("digest", "in", values)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("repository_blobs").select("digest").whereRef("repository_blobs.digest", "=", "blobs.digest"),
          ),
        ),
      )
      .returning("blob_key")
      .execute();
    if (dropped.length === 0) return;
    const delete_after = sql<number>`${clock(database.dialect)} + ${sql.lit(settings.deleteDelayMs)}`;
    await tx
      .insertInto("doomed_blobs")
      .values(dropped.map(({ blob_key }) => ({ blob_key, delete_after })))
      .execute();
  });
  return unused.length;
}

async function deleteBytes({ database, blobs }: Registry): Promise<number> {
  const due = await database.read
    .selectFrom("doomed_blobs")
    .select("blob_key")
    .where("delete_after", "<=", clock(database.dialect))
    .limit(mostInOneStep)
    .execute();
  if (due.length === 0) return 0;
  const keys = due.map((row) => row.blob_key);
  await blobs.delete(keys.map(storedKey));
  await database.write((tx) => tx.deleteFrom("doomed_blobs").where("blob_key", "in", keys).execute());
  return due.length;
}
