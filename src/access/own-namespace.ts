import { randomUUID } from "node:crypto";
import { parseRepositoryName } from "../oci/names.ts";
import type { Writer } from "../platform/database/database.ts";

interface Owner {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}

/**
 * Gives a new account the namespace of its name: where that is free, can begin a repository's name, and holds nothing
 * yet. Who may choose the name of an account must not get the images that are below it already.
 */
export async function giveNamespace(tx: Writer, { id, name, createdAt }: Owner): Promise<void> {
  const holdsSome = await tx
    .selectFrom("repositories")
    .select("id")
    .where("name", ">", `${name}/`)
    .where("name", "<", `${name}0`)
    .limit(1)
    .executeTakeFirst();
  if (holdsSome !== undefined || parseRepositoryName(name) === undefined) return;
  await tx
    .insertInto("namespaces")
    .values({
      id: randomUUID(),
      name,
      owner_kind: "account",
      owner_id: id,
      visibility: "private",
      create_on_push: "developers",
      created_at: createdAt,
    })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
}
