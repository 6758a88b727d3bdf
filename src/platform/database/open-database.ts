import type { Database } from "./database.ts";
import { openSqlite } from "./sqlite/open-sqlite.ts";

export interface DatabaseAddress {
  /** `sqlite:<path of the file>` or `postgres://...` */
  readonly url: string;
}

export async function openDatabase({ url }: DatabaseAddress): Promise<Database> {
  if (url.startsWith("sqlite:")) return openSqlite(url.slice("sqlite:".length));
  if (url.startsWith("postgres://") || url.startsWith("postgresql://")) {
    // The driver is loaded where it is used: otherwise it would be 6 ms and some megabytes of every start.
    const { openPostgres } = await import("./postgres/open-postgres.ts");
    return openPostgres(url);
  }
  throw new Error(`a database URL starts with sqlite: or postgres://, not ${url.split(":", 1)[0] ?? ""}`);
}
