import type { Database } from "./database.ts";
import { openPostgres } from "./postgres/open-postgres.ts";
import { openSqlite } from "./sqlite/open-sqlite.ts";

export interface DatabaseAddress {
  /** `sqlite:<path of the file>` or `postgres://...` */
  readonly url: string;
  /** Whether several processes of one server write to it; PostgreSQL takes that as it comes. */
  readonly writers?: "one" | "several";
}

export async function openDatabase({ url, writers = "one" }: DatabaseAddress): Promise<Database> {
  if (url.startsWith("sqlite:")) return openSqlite(url.slice("sqlite:".length), writers);
  if (url.startsWith("postgres://") || url.startsWith("postgresql://")) return openPostgres(url);
  throw new Error(`a database URL starts with sqlite: or postgres://, not ${url.split(":", 1)[0] ?? ""}`);
}
