import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";
import type { Reader } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccessChange } from "../change-access.ts";
import { findScope } from "../grants/grants.ts";
import { isTagPattern } from "../pattern.ts";
import { refuse } from "../refusal.ts";
import { requireNothingKept } from "../require-held.ts";
import type { Protection } from "./protection.ts";

/** Where tags are protected, by name. */
export type ProtectedPlace =
  | { readonly kind: "namespace"; readonly name: string }
  | { readonly kind: "repository"; readonly name: RepositoryName };

export interface StoredProtection extends Protection {
  readonly id: string;
}

/** Each of them is looked at for every tag of a push. */
const mostOfPlace = 100;

/** Also keeps from deletion without a tag's name whatever a tag of the pattern may need. @throws RegistryError */
export async function createProtection(
  { tx, now }: AccessChange,
  place: ProtectedPlace,
  { pattern, roles }: Protection,
): Promise<StoredProtection> {
  if (!isTagPattern(pattern)) refuse("invalid", `${pattern} is no pattern of tags`);
  if (Object.keys(roles).length === 0) refuse("invalid", "say who may create, move or delete the tags");
  const { id: scopeId } = await findScope(tx, place);
  const { count } = await tx
    .selectFrom("tag_protections")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("scope_kind", "=", place.kind)
    .where("scope_id", "=", scopeId)
    .executeTakeFirstOrThrow();
  if (count >= mostOfPlace)
    refuse("in-the-way", `there are ${String(mostOfPlace)} rules already, and no more than that`);
  const id = randomUUID();
  await tx
    .insertInto("tag_protections")
    .values({
      id,
      scope_kind: place.kind,
      scope_id: scopeId,
      pattern,
      create_role: roles.create ?? null,
      update_role: roles.update ?? null,
      delete_role: roles.delete ?? null,
      created_at: now,
    })
    .execute();
  const target = { id, name: pattern };
  const after = { place: { ...place }, roles: { ...roles } };
  recordEvents(tx, { kind: "access-changed", action: "protection-created", target, after });
  return { id, pattern, roles };
}

/**
 * Where it is, `findProtectedPlace` tells. Without a rule, those could do what it keeps from them: it goes by those whom it
 * keeps from nothing.
 * @throws RegistryError
 */
export async function deleteProtection(change: AccessChange, id: string): Promise<void> {
  const { tx } = change;
  const place = await findProtectedPlace(tx, id);
  const deleted = await tx.deleteFrom("tag_protections").where("id", "=", id).returningAll().executeTakeFirst();
  if (deleted === undefined || place === undefined) return refuse("unknown", `protection ${id}`);
  await requireNothingKept(change, [deleted], place);
  const { id: _, created_at: __, ...before } = deleted;
  const target = { id, name: deleted.pattern };
  recordEvents(tx, { kind: "access-changed", action: "protection-deleted", target, before });
}

/** By id. */
export async function listProtections(
  reader: Reader,
  place: ProtectedPlace,
  { after, limit }: PageRequest,
): Promise<Page<StoredProtection>> {
  const { id } = await findScope(reader, place);
  const rows = await reader
    .selectFrom("tag_protections")
    .selectAll()
    .where("scope_kind", "=", place.kind)
    .where("scope_id", "=", id)
    .where("id", ">", after ?? "")
    .orderBy("id")
    .limit(limit + 1)
    .execute();
  const items = rows.map((row) => ({
    id: row.id,
    pattern: row.pattern,
    roles: {
      ...(row.create_role !== null && { create: row.create_role }),
      ...(row.update_role !== null && { update: row.update_role }),
      ...(row.delete_role !== null && { delete: row.delete_role }),
    },
  }));
  return toPage(items, limit);
}

/** The place that it is on, where whoever takes it away needs the right to. */
export async function findProtectedPlace(reader: Reader, id: string): Promise<ProtectedPlace | undefined> {
  const row = await reader
    .selectFrom("tag_protections as rule")
    .leftJoin("namespaces", (join) =>
      join.onRef("namespaces.id", "=", "rule.scope_id").on("rule.scope_kind", "=", "namespace"),
    )
    .leftJoin("repositories", (join) => join.on("repositories.id", "=", repositoryId))
    .select(["namespaces.name as namespace", "repositories.name as repository"])
    .where("rule.id", "=", id)
    .executeTakeFirst();
  const name = typeof row?.repository === "string" ? parseRepositoryName(row.repository) : undefined;
  if (name !== undefined) return { kind: "repository", name };
  return typeof row?.namespace === "string" ? { kind: "namespace", name: row.namespace } : undefined;
}

/** No repository has the id 0. */
const repositoryId = sql<number>`cast(case when rule.scope_kind = 'repository' then rule.scope_id else '0' end as bigint)`;
