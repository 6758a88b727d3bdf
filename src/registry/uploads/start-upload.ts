import { sql } from "kysely";
import type { DigestAlgorithm } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import { clock } from "../../platform/database/clock.ts";
import type { Reader } from "../../platform/database/database.ts";
import { alone, type Given, prepared } from "../../platform/database/prepared.ts";
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
  const { database, blobs, settings } = registry;
  await blobs.requireRoom?.();
  const begun = await blobs.begin();
  const { repository, principal, algorithm } = upload;
  const id = crypto.randomUUID();
  const { maxSessions, maxSessionsPerPrincipal, holdMs } = settings.uploads;
  const claimed = { holder, heldMs: holder === null ? null : holdMs };
  const most = { maxSessions, maxOwn: maxSessionsPerPrincipal };
  try {
    const given = { id, repository, principal, algorithm, ...begun, ...claimed, ...most };
    const [row] = await insert(alone(database, sessionWrite), given);
    if (row !== undefined) return row;
    const reason = "too many uploads are open; finish or cancel some, or wait until idle ones expire";
    return fail({ code: "TOO_MANY_REQUESTS", reason, retryAfterSeconds });
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
  readonly maxSessions: number;
  readonly maxOwn: number;
}

const countOpen = (read: Reader, principal: string) =>
  read
    .selectFrom("uploads")
    .select(({ fn }) => [
      fn.countAll<number>().as("total"),
      fn.countAll<number>().filterWhere("principal", "=", principal).as("own"),
    ])
    .as("open");

const columns = [
  "id",
  "repository",
  "principal",
  "algorithm",
  "holder",
  "blob_key",
  "state",
  "size_bytes",
  "started_at",
  "active_at",
  "held_until",
] as const;

/** No row where too many are open. */
const insert = prepared((write, given: NewRow & Given, dialect) => {
  const now = clock(dialect);
  const row = [
    sql<string>`${given.id}`.as("id"),
    sql<string>`${given.repository}`.as("repository"),
    sql<string>`${given.principal}`.as("principal"),
    sql<string>`${given.algorithm}`.as("algorithm"),
    sql<string | null>`${given.holder}`.as("holder"),
    sql<string>`${given.key}`.as("blob_key"),
    sql<string>`${given.state}`.as("state"),
    sql<number>`0`.as("size_bytes"),
    now.as("started_at"),
    now.as("active_at"),
    sql<number>`coalesce(${now} + ${given.heldMs}, 0)`.as("held_until"),
  ] as const;
  return write
    .insertInto("uploads")
    .columns(columns)
    .expression((expression) =>
      expression
        .selectFrom(countOpen(write, given.principal))
        .select(row)
        .where("total", "<", given.maxSessions)
        .where("own", "<", given.maxOwn),
    )
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
