import { type Selectable, sql } from "kysely";
import { clock } from "../database/clock.ts";
import { prepared } from "../database/prepared.ts";
import { storageProblem } from "../storage/storage-problem.ts";
import type { Database, Tables, WriteOptions, Writer } from "../database/database.ts";

const longestTextCharacters = 500;
const cut = (text: string): string => text.slice(0, longestTextCharacters);

/** A job whose end the power took with it runs once more, so its bookkeeping costs no sync of the disk. */
const bookkeeping: WriteOptions = { survives: "process" };

/** The first time a job is seen it gets its row; a shorter rest than it had takes effect at once. */
export async function scheduleJob({ read, write, dialect }: Database, name: string, everyMs: number): Promise<void> {
  const next = sql<number>`${clock(dialect)} + ${sql.lit(everyMs)}`;
  const known = await read.selectFrom("jobs").select("name").where("name", "=", name).executeTakeFirst();
  await write(async (tx) => {
    if (known === undefined) {
      const values = { name, run_at: next };
      await tx
        .insertInto("jobs")
        .values(values)
        .onConflict((conflict) => conflict.column("name").doNothing())
        .execute();
    }
    await tx.updateTable("jobs").set({ run_at: next }).where("name", "=", name).where("run_at", ">", next).execute();
  }, bookkeeping);
}

/** Puts a job at the head of the queue. @returns whether there is one of that name */
export async function requestJob(tx: Writer, { dialect }: Database, name: string): Promise<boolean> {
  const requested = await tx
    .updateTable("jobs")
    .set({ run_at: clock(dialect) })
    .where("name", "=", name)
    .returning("name")
    .execute();
  return requested.length > 0;
}

/** Names of the jobs whose time has come and that nobody runs, the longest waiting first. */
export const dueJobs = async (database: Database): Promise<readonly string[]> =>
  (await due(database, {})).map(({ name }) => name);

/** Asked twice a second: to build it anew each time would make up most of what an idle server does. */
const due = prepared((read, _given, dialect) =>
  read
    .selectFrom("jobs")
    .select("name")
    .where("run_at", "<=", clock(dialect))
    .where((expression) =>
      expression.or([expression("holder", "is", null), expression("held_until", "<", clock(dialect))]),
    )
    .orderBy("run_at"),
);

export interface Lease {
  readonly name: string;
  readonly holder: string;
  readonly leaseMs: number;
}

const heldUntil = ({ dialect }: Database, leaseMs: number) => sql<number>`${clock(dialect)} + ${sql.lit(leaseMs)}`;

/** Takes a due job, also from a process that gives no sign of life. @returns whether it is ours */
export async function takeJob(database: Database, { name, holder, leaseMs }: Lease): Promise<boolean> {
  const now = clock(database.dialect);
  const taken = await database.write(
    (tx) =>
      tx
        .updateTable("jobs")
        .set({ holder, held_until: heldUntil(database, leaseMs), started_at: now, progress: null })
        .where("name", "=", name)
        .where("run_at", "<=", now)
        .where((expression) => expression.or([expression("holder", "is", null), expression("held_until", "<", now)]))
        .returning("name")
        .execute(),
    bookkeeping,
  );
  return taken.length > 0;
}

/** @returns whether it still is ours */
export async function renewJob(database: Database, lease: Lease, progress: string | undefined): Promise<boolean> {
  const renewed = await database.write(
    (tx) =>
      tx
        .updateTable("jobs")
        .set({
          held_until: heldUntil(database, lease.leaseMs),
          ...(progress !== undefined && { progress: cut(progress) }),
        })
        .where("name", "=", lease.name)
        .where("holder", "=", lease.holder)
        .returning("name")
        .execute(),
    bookkeeping,
  );
  return renewed.length > 0;
}

/** Frees the jobs of a server that is no more; for the start of the only server there is. */
export async function releaseJobs({ read, write }: Database): Promise<void> {
  const isHeld = await read.selectFrom("jobs").select("name").where("holder", "is not", null).executeTakeFirst();
  if (isHeld === undefined) return;
  const [freed] = await Promise.allSettled([
    write((tx) => tx.updateTable("jobs").set({ holder: null, held_until: 0 }).execute(), bookkeeping),
  ]);
  // On a full disk they run out by themselves: no reason not to serve what can be read.
  if (freed.status === "rejected" && storageProblem(freed.reason) === undefined) throw freed.reason;
}

export interface JobEnd {
  readonly restMs: number;
  readonly progress: string | undefined;
  /** Of a run that failed. */
  readonly error: string | undefined;
}

/** Gives the job back; nothing where another has taken it over. A request that came meanwhile stays. */
export async function endJob(database: Database, lease: Lease, { restMs, progress, error }: JobEnd): Promise<void> {
  const now = clock(database.dialect);
  const failed = error === undefined ? 0 : 1;
  await database.write(
    (tx) =>
      tx
        .updateTable("jobs")
        .set((expression) => ({
          run_at: sql<number>`case when run_at > started_at then run_at else ${now} + ${sql.lit(restMs)} end`,
          holder: null,
          held_until: 0,
          ended_at: now,
          progress: progress === undefined ? null : cut(progress),
          error: error === undefined ? null : cut(error),
          failures: failed === 0 ? 0 : expression("failures", "+", 1),
          runs: expression("runs", "+", 1),
          failed_runs: expression("failed_runs", "+", failed),
        }))
        .where("name", "=", lease.name)
        .where("holder", "=", lease.holder)
        .execute(),
    bookkeeping,
  );
}

export type JobState = Selectable<Tables["jobs"]> & {
  /** By the database's clock: it is being run; it should be and is not; or its time has not come. */
  readonly state: "running" | "waiting" | "resting";
  /** How long it has been waiting. */
  readonly waitedMs: number;
};

/** Every job, by name. */
export async function listJobs({ read, dialect }: Database): Promise<readonly JobState[]> {
  const rows = await read
    .selectFrom("jobs")
    .selectAll()
    .select(sql<number>`${clock(dialect)}`.as("now"))
    .orderBy("name")
    .execute();
  return rows.map(({ now, ...job }) => {
    const isHeld = job.holder !== null && job.held_until >= now;
    const waitedMs = isHeld ? 0 : Math.max(0, now - job.run_at);
    return { ...job, state: isHeld ? "running" : waitedMs > 0 ? "waiting" : "resting", waitedMs };
  });
}
