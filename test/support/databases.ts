import { afterEach, describe } from "bun:test";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import type { Database, Dialect } from "../../src/platform/database/database.ts";
import { migrate, type Migrations } from "../../src/platform/database/migrations.ts";
import { openDatabase } from "../../src/platform/database/open-database.ts";
import { findPostgres } from "./postgres.ts";
import { requirement } from "./requirement.ts";

/** Opens a new database with the tables of these owners; it is closed and removed after the test. */
export type OpenTestDatabase = (owners?: readonly Migrations[]) => Promise<Database>;

/** A database of its own, for a server that a test starts. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
}

const clusterUrl = (): string | undefined => process.env["BERTH_TEST_POSTGRES_URL"];

/** Registers the same tests for both databases, so that neither can have a test that the other has not. */
export function describeEachDatabase(name: string, tests: (dialect: Dialect, open: OpenTestDatabase) => void): void {
  describe(`${name} [sqlite]`, () => {
    tests("sqlite", opener("sqlite"));
  });
  requirement(`${name} [postgres]`, missingPostgres(), () => {
    tests("postgres", opener("postgres"));
  });
}

/** Why the tests on PostgreSQL cannot run. */
function missingPostgres(): string | undefined {
  if (clusterUrl() !== undefined) return undefined;
  const programs = findPostgres();
  return "missing" in programs ? programs.missing : "BERTH_TEST_POSTGRES_URL is not set (npm test starts a cluster)";
}

/** An empty database. */
export async function createTestDatabase(dialect: Dialect): Promise<TestDatabase> {
  return dialect === "sqlite" ? createSqlite() : createPostgres("template0");
}

function opener(dialect: Dialect): OpenTestDatabase {
  const opened: { readonly database: Database; readonly storage: TestDatabase }[] = [];
  afterEach(async () => {
    for (const { database, storage } of opened.splice(0)) {
      await database.close();
      await storage[Symbol.asyncDispose]();
    }
  });
  return async (owners = []) => {
    const storage = dialect === "sqlite" ? await createSqlite() : await createPostgres(await templateFor(owners));
    const database = await openDatabase({ url: storage.url });
    opened.push({ database, storage });
    if (dialect === "sqlite") await migrate(database, owners);
    return database;
  };
}

const templates = new Map<string, Promise<string>>();

/** Copying a database is quicker than running its migrations again for every test. */
function templateFor(owners: readonly Migrations[]): Promise<string> {
  const key = JSON.stringify(owners.map(namesOf));
  const made = templates.get(key) ?? makeTemplate(owners);
  templates.set(key, made);
  return made;
}

const namesOf = ({ owner, steps, needs = [] }: Migrations): unknown => [
  owner,
  steps.map((step) => step.name),
  needs.map(namesOf),
];

async function makeTemplate(owners: readonly Migrations[]): Promise<string> {
  const { url } = await createPostgres("template0");
  const database = await openDatabase({ url });
  await migrate(database, owners);
  await database.close();
  return new URL(url).pathname.slice(1);
}

async function createPostgres(template: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await administer(`create database ${name} template ${template}`);
  const url = new URL(clusterUrl() ?? "");
  url.pathname = `/${name}`;
  return {
    url: url.href,
    [Symbol.asyncDispose]: () => administer(`drop database if exists ${name} with (force)`),
  };
}

async function createSqlite(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), "berth-sqlite-"));
  return {
    url: `sqlite:${join(folder, "berth.db")}`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function administer(statement: string): Promise<void> {
  const client = new Client({ connectionString: clusterUrl() });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
