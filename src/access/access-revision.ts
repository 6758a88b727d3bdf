import { sql } from "kysely";
import { LRUCache } from "lru-cache";
import type { Database, Writer } from "../platform/database/database.ts";
import { prepared, type Reading } from "../platform/database/prepared.ts";

/** Also makes changes of rights wait for each other: what one of them finds out first still holds when it writes. */
export async function countUpRevision(tx: Writer): Promise<void> {
  await tx
    .updateTable("access_revision")
    .set({ revision: sql<number>`revision + 1` })
    .where("id", "=", 1)
    .execute();
}

const stored = prepared((read) => read.selectFrom("access_revision").select("revision").where("id", "=", 1));

/**
 * The number that every change of rights counts up, by whichever process. All who ask in one turn of the event loop
 * came before it was read; where the database can tell that nobody has committed since, it is not even read.
 */
export function revisionWatch(database: Reading & Pick<Database, "revision">): () => Promise<number> {
  let asked: Promise<number> | undefined;
  let known: { readonly at: number; readonly revision: number } | undefined;
  const forget = (): void => {
    asked = undefined;
  };
  const read = async (at: number | undefined): Promise<number> => {
    const [row] = await stored(database, {});
    if (row === undefined) throw new Error("the database has lost the revision of its rights");
    if (at !== undefined) known = { at, revision: row.revision };
    return row.revision;
  };
  return async () => {
    const at = database.revision?.();
    if (at !== undefined) return known?.at === at ? known.revision : read(at);
    if (asked === undefined) {
      asked = read(undefined);
      setImmediate(forget);
    }
    return asked;
  };
}

interface Bounds {
  readonly max: number;
  /** Of the sum of all sizes. */
  readonly maxSize: number;
}

interface Loaded<V> {
  readonly value: V;
  /** Absent where it is not to be remembered. */
  readonly size?: number;
}

/** What was read of rights counts until anyone changes one; those who ask in one turn of the event loop read it once. */
export function untilRightsChange<V extends object>(
  revision: () => Promise<number>,
  bounds: Bounds,
): (key: string, load: () => Promise<Loaded<V>>) => Promise<V> {
  const remembered = new LRUCache<string, V>(bounds);
  const loading = new Map<string, Promise<V>>();
  let rememberedAt: number | undefined;
  const loadAt = async (at: number, key: string, load: () => Promise<Loaded<V>>): Promise<V> => {
    const { value, size } = await load();
    // Read at this revision or a later one, and there may be a later one by now.
    if (size !== undefined && at === rememberedAt) remembered.set(key, value, { size });
    return value;
  };
  return async (key, load) => {
    const at = await revision();
    if (at !== rememberedAt) {
      remembered.clear();
      loading.clear();
    }
    rememberedAt = at;
    const known = remembered.get(key) ?? loading.get(key);
    if (known !== undefined) return known;
    const loaded = loadAt(at, key, load);
    if (loading.size === 0) setImmediate(() => loading.clear());
    loading.set(key, loaded);
    return loaded;
  };
}
