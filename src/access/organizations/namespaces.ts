import { randomUUID } from "node:crypto";
import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";
import type { Visibility } from "../../oci/visibility.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { createRepository, type Page, type PageRequest, setVisibility, toPage } from "../../registry/repositories.ts";
import type { Furniture } from "../../registry/registry.ts";
import type { AccessChange } from "../change-access.ts";
import { refuse } from "../refusal.ts";
import { requireNothingKept } from "../require-held.ts";
import { requireRevision } from "../require-revision.ts";
import { visibilityOfNew } from "../rights.ts";
import type { CreateOnPush, NamespaceOwnerKind } from "../tables.ts";
import { within } from "../../platform/database/prepared.ts";
import { removeNamespace, requireNoRepositories, rulesWithin } from "./remove-namespaces.ts";
import { changedTemplate, parseTemplate, storedTemplate, type TemplateChange } from "./template.ts";

/** What is not said here is as the namespace above says, and `private` and `project-admins` at the top. */
export interface NamespaceRules {
  readonly visibility?: Visibility;
  readonly createOnPush?: CreateOnPush;
  /** A part of it that is not said is as the namespace above says. */
  readonly template?: Furniture;
}

export interface Namespace extends NamespaceRules {
  readonly id: string;
  readonly name: string;
  readonly ownerKind: NamespaceOwnerKind;
  readonly ownerId: string;
  readonly revision: number;
}

/** How the namespace of names without a slash is called where it has to be called something. */
export const namespaceLabel = (name: string): string => (name === "" ? "/" : name);

export const namespaceNamed = (label: string): string => (label === "/" ? "" : label);

/**
 * One of the instance's, or one below another, whose owner it shares.
 * @throws RegistryError
 */
export async function createNamespace(
  { tx, now }: AccessChange,
  { template = {}, ...wanted }: Omit<NamespaceChange, "expected">,
): Promise<Namespace> {
  const { name, visibility, createOnPush } = wanted;
  const rules = { ...wanted, template: changedTemplate({}, template) };
  if (parseRepositoryName(name) === undefined)
    refuse("invalid", "a namespace's name is the beginning of a repository's");
  const [top = ""] = name.split("/", 1);
  const isTop = name === top;
  if (!isTop && (await findNamespace(tx, top)) === undefined) refuse("unknown", `namespace ${top}`);
  const row = {
    id: randomUUID(),
    name,
    owner_kind: isTop ? ("instance" as const) : ("above" as const),
    owner_id: "",
    visibility: visibility ?? null,
    create_on_push: createOnPush ?? null,
    template: storedTemplate(rules.template),
    created_at: now,
  };
  const made = await tx
    .insertInto("namespaces")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returning("id")
    .execute();
  if (made.length === 0) refuse("taken", `there is a namespace ${name}`);
  const target = { id: row.id, name };
  recordEvents(tx, { kind: "access-changed", action: "namespace-created", target, after: rulesOf(rules) });
  return { ...target, ownerKind: row.owner_kind, ownerId: "", revision: 1, ...rulesOf(rules) };
}

export interface NamespaceChange extends Omit<NamespaceRules, "template"> {
  readonly name: string;
  readonly template?: TemplateChange;
  /** The revision that is meant; `undefined`: whichever it is. */
  readonly expected?: number | undefined;
}

/** What is not given stays. Repositories that exist keep what they have. @throws RegistryError */
export async function changeNamespace({ tx }: AccessChange, { template, ...wanted }: NamespaceChange): Promise<void> {
  const { name, visibility, createOnPush } = wanted;
  const found = await findNamespace(tx, name);
  if (found === undefined) return refuse("unknown", `namespace ${namespaceLabel(name)}`);
  requireRevision(wanted.expected, found.revision);
  const after = { ...found, ...wanted, template: changedTemplate(found.template ?? {}, template ?? {}) };
  const set = {
    ...(visibility !== undefined && { visibility }),
    ...(createOnPush !== undefined && { create_on_push: createOnPush }),
    ...(template !== undefined && { template: storedTemplate(after.template) }),
  };
  if (Object.keys(set).length === 0) return;
  const revision = found.revision + 1;
  await tx
    .updateTable("namespaces")
    .set({ ...set, revision })
    .where("id", "=", found.id)
    .execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "namespace-changed",
    target: { id: found.id, name },
    before: rulesOf(found),
    after: rulesOf(after),
  });
}

const rulesOf = ({ visibility, createOnPush, template = {} }: NamespaceRules) => ({
  ...(visibility && { visibility }),
  ...(createOnPush && { createOnPush }),
  ...(Object.keys(template).length > 0 && { template: { ...template } }),
});

/**
 * With what was granted on it. That of an organization or an account goes with its owner alone; one below another leaves
 * its repositories to that.
 * @throws RegistryError
 */
export async function deleteNamespace(change: AccessChange, name: string): Promise<void> {
  const { tx } = change;
  const found = await findNamespace(tx, name);
  if (found === undefined) return refuse("unknown", `namespace ${namespaceLabel(name)}`);
  if (name === "" || name === "library") refuse("in-the-way", "this namespace is part of every registry");
  if (found.ownerKind === "organization" || found.ownerKind === "account") {
    refuse("in-the-way", `it goes with the ${found.ownerKind} whose it is`);
  }
  if (found.ownerKind !== "above") await requireNoRepositories(tx, name);
  await requireNothingKept(change, await rulesWithin(tx, name), { kind: "namespace", name });
  await removeNamespace(tx, name);
  recordEvents(tx, { kind: "access-changed", action: "namespace-deleted", target: { id: found.id, name } });
}

const columns = ["id", "name", "owner_kind", "owner_id", "visibility", "create_on_push", "revision"] as const;

interface Row {
  readonly id: string;
  readonly name: string;
  readonly owner_kind: NamespaceOwnerKind;
  readonly owner_id: string;
  readonly visibility: Visibility | null;
  readonly create_on_push: CreateOnPush | null;
  readonly revision: number;
  /** Absent from lists, of which it would be the most by far. */
  readonly template?: string | null;
}

const toNamespace = (row: Row): Namespace => ({
  id: row.id,
  name: row.name,
  ownerKind: row.owner_kind,
  ownerId: row.owner_id,
  revision: row.revision,
  ...(row.visibility !== null && { visibility: row.visibility }),
  ...(row.create_on_push !== null && { createOnPush: row.create_on_push }),
  ...(typeof row.template === "string" && { template: parseTemplate(row.template) }),
});

export async function findNamespace(reader: Reader | Writer, name: string): Promise<Namespace | undefined> {
  const row = await reader
    .selectFrom("namespaces")
    .select([...columns, "template"])
    .where("name", "=", name)
    .executeTakeFirst();
  return row && toNamespace(row);
}

/** By name; `after` is not given for the first page, as the first name is empty. */
export async function listNamespaces(reader: Reader, { after, limit }: PageRequest): Promise<Page<Namespace>> {
  const rows = await reader
    .selectFrom("namespaces")
    .select(columns)
    .$if(after !== undefined, (query) => query.where("name", ">", after ?? ""))
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(toNamespace), limit);
}

/** As visible as its namespace says, unless another visibility is given. @throws RegistryError where it exists */
export async function createEmptyRepository(
  { tx, database }: AccessChange,
  { name, visibility }: { readonly name: RepositoryName; readonly visibility?: Visibility },
): Promise<void> {
  const shown = visibility ?? (await visibilityOfNew(within(tx, database), name));
  const made = await createRepository(database, tx, { name, visibility: shown });
  if (made === undefined) refuse("taken", `there is a repository ${name}`);
}

/** What was granted and protected on a repository that is deleted; patterns of names stay. */
export async function dropRightsOn({ tx }: AccessChange, repositoryId: number): Promise<void> {
  for (const table of ["grants", "tag_protections"] as const) {
    await tx
      .deleteFrom(table)
      .where("scope_kind", "=", "repository")
      .where("scope_id", "=", String(repositoryId))
      .execute();
  }
}

/** @throws RegistryError where there is no such repository */
export async function changeVisibility(
  { tx }: AccessChange,
  { name, visibility }: { readonly name: RepositoryName; readonly visibility: Visibility },
): Promise<void> {
  if ((await setVisibility(tx, name, visibility)) === undefined) refuse("unknown", `repository ${name}`);
}
