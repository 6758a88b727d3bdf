import type { Writer } from "../../platform/database/database.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import { refuse } from "../refusal.ts";
import type { ProtectionRow } from "../tables.ts";

interface Owner {
  readonly kind: "organization" | "account";
  readonly id: string;
}

/** With the grants on them. @throws RegistryError while there are repositories in any of them */
export async function removeNamespacesOf(tx: Writer, owner: Owner): Promise<void> {
  const owned = await tx
    .selectFrom("namespaces")
    .select("name")
    .where("owner_kind", "=", owner.kind)
    .where("owner_id", "=", owner.id)
    .orderBy("name")
    .execute();
  for (const { name } of owned) {
    await requireNoRepositories(tx, name);
    await removeNamespace(tx, name);
  }
}

/** A namespace and those below it. */
const spacesWithin = (tx: Writer, name: string) =>
  tx
    .selectFrom("namespaces")
    .select("id")
    .where((eb) => eb.or([eb("name", "=", name), eb.and([eb("name", ">", `${name}/`), eb("name", "<", `${name}0`)])]));

/** The rules that protect tags which go with it. */
export const rulesWithin = (tx: Writer, name: string): Promise<readonly ProtectionRow[]> =>
  tx
    .selectFrom("tag_protections")
    .selectAll()
    .where("scope_kind", "=", "namespace")
    .where("scope_id", "in", spacesWithin(tx, name))
    .execute();

/** And those below it, with the grants on them. */
export async function removeNamespace(tx: Writer, name: string): Promise<void> {
  const spaces = await spacesWithin(tx, name).execute();
  for (const ids of inChunks(spaces.map(({ id }) => id))) {
    await tx
      .deleteFrom("grants")
      .where("scope_kind", "in", ["namespace", "pattern"])
      .where("scope_id", "in", ids)
      .execute();
    await tx.deleteFrom("tag_protections").where("scope_kind", "=", "namespace").where("scope_id", "in", ids).execute();
    await tx.deleteFrom("namespaces").where("id", "in", ids).execute();
  }
}

const mostNamed = 3;

/** @throws RegistryError */
export async function requireNoRepositories(tx: Writer, namespace: string): Promise<void> {
  const found = await tx
    .selectFrom("repositories")
    .select("name")
    .where("name", ">", `${namespace}/`)
    .where("name", "<", `${namespace}0`)
    .orderBy("name")
    .limit(mostNamed + 1)
    .execute();
  if (found.length === 0) return;
  const some = found.slice(0, mostNamed).map(({ name }) => name);
  const more = found.length > mostNamed ? " and others" : "";
  refuse("in-the-way", `there are repositories in ${namespace}: ${some.join(", ")}${more}`);
}
