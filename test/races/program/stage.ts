import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import type { Database, Dialect } from "../../../src/platform/database/database.ts";
import { migrate } from "../../../src/platform/database/migrations.ts";
import { openDatabase } from "../../../src/platform/database/open-database.ts";
import { registryMigrations } from "../../../src/registry/migrations.ts";
import { createTestDatabase, type TestDatabase } from "../../support/databases.ts";
import { testRegistry } from "../../support/registry.ts";
import type { Stage } from "./run-program.ts";

export interface OpenStage extends Stage, AsyncDisposable {
  /** Of the database, since it was made: transactions that it gave up because they waited for each other. */
  readonly deadlocks: () => Promise<number>;
}

/** A registry for random programs, on a database of its own. */
export async function openStage(dialect: Dialect): Promise<OpenStage> {
  await using made = new AsyncDisposableStack();
  const storage = made.use(dialect === "sqlite" ? await createInMemory() : await createTestDatabase(dialect));
  const database = await openDatabase({ url: storage.url });
  made.defer(() => database.close());
  await migrate(database, [registryMigrations]);
  const watcher = dialect === "postgres" ? await openDatabase({ url: storage.url }) : undefined;
  if (watcher !== undefined) made.defer(() => watcher.close());
  const used = made.move();
  return {
    registry: testRegistry(database),
    countBlocked: watcher && (() => countBlocked(watcher)),
    deadlocks: async () => (watcher === undefined ? 0 : countDeadlocks(watcher)),
    [Symbol.asyncDispose]: () => used.disposeAsync(),
  };
}

/** Thousands of commits whose fsync nobody needs: nothing here is about power loss. */
async function createInMemory(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "berth-races-"));
  return {
    url: `sqlite:${join(folder, "berth.db")}`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What the lock table itself says: whoever has been let go on is no longer among them. */
async function countBlocked({ read }: Database): Promise<number> {
  const { rows } = await sql<{ readonly count: number }>`
    select count(*) as count from pg_stat_activity
    where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0`.execute(read);
  return rows[0]?.count ?? 0;
}

async function countDeadlocks({ read }: Database): Promise<number> {
  const { rows } = await sql<{ readonly deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = current_database()`.execute(read);
  return rows[0]?.deadlocks ?? 0;
}
