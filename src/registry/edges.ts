import { type ExpressionBuilder, sql } from "kysely";
import type { Digest } from "../oci/digest.ts";
import type { EdgeKind, Manifest } from "../oci/manifest.ts";
import { clock } from "../platform/database/clock.ts";
import type { Database, Tables, Writer } from "../platform/database/database.ts";
import { isAmong, pairsOf } from "../platform/database/json-lists.ts";
import { type Given, prepared, within } from "../platform/database/prepared.ts";
import { inChunks } from "../platform/database/in-chunks.ts";

/**
 * The lease of a blob that a manifest of its repository names: no clock gets there. Whoever looks for leases that have
 * run out finds them by their index alone, and meets nothing that is in use.
 */
export const neverMs = Number.MAX_SAFE_INTEGER;

/** The end of a lease that begins now, by the database's clock. */
export const leaseEnd = ({ dialect }: Database, leaseMs: number) =>
  sql<number>`${clock(dialect)} + ${sql.lit(leaseMs)}`;

/** Whether a manifest of the same repository names the blob of a `repository_blobs` row. */
export const isNamed = ({ exists, selectFrom }: ExpressionBuilder<Tables, "repository_blobs">) =>
  exists(
    selectFrom("edges")
      .select("edges.child")
      .whereRef("edges.repository_id", "=", "repository_blobs.repository_id")
      .whereRef("edges.child", "=", "repository_blobs.digest"),
  );

interface NewParent {
  readonly repositoryId: number;
  readonly parent: Digest;
  readonly manifest: Manifest;
  /** Of what it names, the blobs whose rows are locked. */
  readonly kept: ReadonlySet<string>;
}

/**
 * Stores what a manifest names; those blobs need no lease from now on. A blob that is not locked keeps the lease that it
 * came with: the collector sees that it is named, and nobody waits here who holds less than others need.
 */
export async function storeEdges(
  tx: Writer,
  database: Database,
  { repositoryId, parent, manifest, kept }: NewParent,
): Promise<void> {
  const write = within(tx, database);
  const kinds = new Map(manifest.edges.map((edge) => [edge.digest, edge.kind]));
  for (const some of inChunks([...kinds].toSorted(byDigest))) {
    const leased = some.map(([child]) => child).filter((child) => kept.has(child));
    await Promise.all([
      addEdges(write, { repositoryId, parent, kinds: JSON.stringify(Object.fromEntries(some)) }),
      leased.length > 0 && endLeases(write, { repositoryId, digests: JSON.stringify(leased) }),
    ]);
  }
}

interface NewEdges {
  readonly repositoryId: number;
  readonly parent: string;
  /** JSON: each child's. */
  readonly kinds: string;
}

const addEdges = prepared((write, { repositoryId, parent, kinds }: NewEdges & Given, dialect) =>
  write
    .insertInto("edges")
    .columns(["repository_id", "child", "parent", "kind"])
    .expression(
      write
        .selectFrom(pairsOf(dialect, kinds).as("pair"))
        .select([
          sql<number>`cast(${repositoryId} as bigint)`.as("repository_id"),
          "pair.key",
          sql<string>`cast(${parent} as text)`.as("parent"),
          "pair.value",
        ])
        // Without a condition SQLite takes what follows for one of a join.
        .where(sql.lit(true)),
    )
    .onConflict((conflict) => conflict.doNothing()),
);

interface Named {
  readonly repositoryId: number;
  /** JSON. */
  readonly digests: string;
}

const endLeases = prepared((write, { repositoryId, digests }: Named & Given, dialect) =>
  write
    .updateTable("repository_blobs")
    .set({ leased_until: neverMs })
    .where("repository_id", "=", repositoryId)
    .where("digest", "in", (expression) =>
      expression
        .selectFrom("repository_blobs as leased")
        .select("leased.digest")
        .where("leased.repository_id", "=", repositoryId)
        .where(isAmong(dialect, "leased.digest", digests))
        .where("leased.leased_until", "<", neverMs)
        .orderBy("leased.digest")
        // Two pushes that share layers take their rows in the same order.
        .$if(dialect === "postgres", (query) => query.forUpdate()),
    ),
);

const byDigest = ([one]: readonly [Digest, EdgeKind], [other]: readonly [Digest, EdgeKind]): number =>
  one < other ? -1 : 1;

interface OldParent {
  readonly repositoryId: number;
  readonly parent: Digest;
  readonly children: readonly string[];
}

/**
 * Removes what a manifest named. What nothing in the repository names any more begins a fresh lease, so that a push
 * which counts on it still finds it. The rows of the blobs must be locked: of two manifests that go at once, the second
 * sees that it was the last.
 */
export async function removeEdges(
  { database, leaseMs }: { readonly database: Database; readonly leaseMs: number },
  tx: Writer,
  { repositoryId, parent, children }: OldParent,
): Promise<void> {
  await tx.deleteFrom("edges").where("repository_id", "=", repositoryId).where("parent", "=", parent).execute();
  for (const some of inChunks(children)) {
    await tx
      .updateTable("repository_blobs")
      .set({ leased_until: leaseEnd(database, leaseMs) })
      .where("repository_id", "=", repositoryId)
      .where("digest", "in", some)
      .where((expression) => expression.not(isNamed(expression)))
      .execute();
  }
}
