import { sql } from "kysely";
import type { Database, Dialect, Writer } from "./database.ts";

/** One change of the schema: expand first, contract in a later release, so that two releases can run side by side. */
export interface Migration {
  /** `YYYYMMDDHHMM_what`; they run in the order of their names. */
  readonly name: string;
  /** A build that does not know this step must not run on the schema after it. */
  readonly breaksOlderBuilds?: boolean;
  readonly up: (tx: Writer, columns: ColumnTypes) => Promise<void>;
}

/** The tables' owner and its steps. Each owner's steps stand alone: a removed feature leaves its tables behind. */
export interface Migrations {
  readonly owner: string;
  /** Owners whose tables this one writes through their functions; they come first. */
  readonly needs?: readonly Migrations[];
  readonly steps: readonly Migration[];
}

/** What the two databases call the same thing. */
export interface ColumnTypes {
  /** For what they have nothing in common in. */
  readonly dialect: Dialect;
  /** Compared byte by byte on both. */
  readonly text: ReturnType<typeof sql>;
  /** Whole numbers below 2^53; times are milliseconds since 1970. */
  readonly integer: "bigint" | "integer";
  readonly bytes: "bytea" | "blob";
  /** A primary key that the database counts up. */
  readonly identity: ReturnType<typeof sql>;
}

const columnTypes: Readonly<Record<Dialect, ColumnTypes>> = {
  sqlite: {
    dialect: "sqlite",
    text: sql`text`,
    integer: "integer",
    bytes: "blob",
    identity: sql`integer primary key autoincrement`,
  },
  postgres: {
    dialect: "postgres",
    text: sql`text collate "C"`,
    integer: "bigint",
    bytes: "bytea",
    identity: sql`bigint generated always as identity primary key`,
  },
};

declare module "./database.ts" {
  interface Tables {
    schema_migrations: {
      readonly owner: string;
      readonly name: string;
      readonly breaks_older_builds: number;
    };
  }
}

/** This build must not run on what a newer one made of the tables. */
export class NewerSchemaError extends Error {
  override readonly name = "NewerSchemaError";
}

/** Any two servers that start at once take turns (PostgreSQL; SQLite has one writer anyway). */
const migrationLock = 7_021_155_319;

/**
 * Brings the schema up to this build, all steps of an owner in one transaction.
 * @throws NewerSchemaError
 */
export async function migrate(database: Database, owners: readonly Migrations[]): Promise<void> {
  const columns = columnTypes[database.dialect];
  await database.write(async (tx) => {
    // A step may take as long as its tables are large.
    if (database.dialect === "postgres") await sql`set local statement_timeout = 0`.execute(tx);
    if (database.dialect === "postgres") await sql`select pg_advisory_xact_lock(${migrationLock})`.execute(tx);
    // What triggers do at the end of a transaction keeps the next step from altering the tables of which they are.
    if (database.dialect === "postgres") await sql`set constraints all immediate`.execute(tx);
    await createSchemaTable(tx, columns);
    for (const owner of owners) await migrateOwner(tx, { owner, columns });
  });
}

const createSchemaTable = (tx: Writer, columns: ColumnTypes): Promise<void> =>
  tx.schema
    .createTable("schema_migrations")
    .ifNotExists()
    .addColumn("owner", columns.text, (column) => column.notNull())
    .addColumn("name", columns.text, (column) => column.notNull())
    .addColumn("breaks_older_builds", "integer", (column) => column.notNull())
    .addPrimaryKeyConstraint("schema_migrations_key", ["owner", "name"])
    .execute();

async function migrateOwner(
  tx: Writer,
  { owner: { owner, needs = [], steps }, columns }: { readonly owner: Migrations; readonly columns: ColumnTypes },
): Promise<void> {
  for (const needed of needs) await migrateOwner(tx, { owner: needed, columns });
  const rows = await tx.selectFrom("schema_migrations").selectAll().where("owner", "=", owner).execute();
  const known = new Set(steps.map((step) => step.name));
  const tooNew = rows.find((row) => row.breaks_older_builds === 1 && !known.has(row.name));
  if (tooNew !== undefined) {
    throw new NewerSchemaError(
      `the database was changed by a newer Berth (${owner} ${tooNew.name}); start that version or newer`,
    );
  }
  const applied = new Set(rows.map((row) => row.name));
  for (const step of steps.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (applied.has(step.name)) continue;
    await step.up(tx, columns);
    await tx
      .insertInto("schema_migrations")
      .values({ owner, name: step.name, breaks_older_builds: step.breaksOlderBuilds === true ? 1 : 0 })
      .execute();
  }
}
