import type { Database } from "./database.ts";
import { openPostgres } from "./postgres/open-postgres.ts";
import { openSqlite } from "./sqlite/open-sqlite.ts";

/** @param url `sqlite:<path of the file>` or `postgres://...` */
export async function openDatabase({ url }: { readonly url: string }): Promise<Database> {
  if (url.startsWith("sqlite:")) return openSqlite(url.slice("sqlite:".length));
  if (url.startsWith("postgres://") || url.startsWith("postgresql://")) return openPostgres(url);
  throw new Error(`a database URL starts with sqlite: or postgres://, not ${url.split(":", 1)[0] ?? ""}`);
}
