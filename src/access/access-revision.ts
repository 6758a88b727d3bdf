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

interface Revisions {
  readonly rights: number;
  readonly signIns: number;
}

const stored = prepared((read) =>
  read
    .selectFrom(["access_revision", "sign_in_revision"])
    .select(["access_revision.revision as rights", "sign_in_revision.revision as signIns"])
    .where("access_revision.id", "=", 1)
    .where("sign_in_revision.id", "=", 1)
    .$castTo<Revisions>(),
);

export interface RevisionWatch {
  /** Counted up by every change of rights. */
  readonly rights: () => Promise<number>;
  /** Counted up by the database itself, with every change of what it says of who signs in (`signInTables`). */
  readonly signIns: () => Promise<number>;
}

/**
 * The numbers that tell whether what was read of access is still so, whichever process has changed it. All who ask in one
 * turn of the event loop came before they were read; where the database can tell that nobody has committed since, they
 * are not even read.
 */
export function revisionWatch(database: Reading & Pick<Database, "revision">): RevisionWatch {
  let asked: Promise<Revisions> | undefined;
  let known: { readonly at: number; readonly revisions: Revisions } | undefined;
  const forget = (): void => {
    asked = undefined;
  };
  const read = async (at: number | undefined): Promise<Revisions> => {
    const [revisions] = await stored(database, {});
    if (revisions === undefined) throw new Error("the database has lost the revision of its rights");
    if (at !== undefined) known = { at, revisions };
    return revisions;
  };
  const current = (): Revisions | Promise<Revisions> => {
    const at = database.revision?.();
    if (at !== undefined) return known?.at === at ? known.revisions : read(at);
    if (asked === undefined) {
      asked = read(undefined);
      setImmediate(forget);
    }
    return asked;
  };
  return {
    rights: async () => (await current()).rights,
    signIns: async () => (await current()).signIns,
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

/** What was read counts while the revision is the same; those who ask in one turn of the event loop read it once. */
export function untilCountedUp<V extends object>(
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
