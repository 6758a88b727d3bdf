import type { RepositoryName } from "../../oci/names.ts";
import { textsOf } from "../../platform/database/json-lists.ts";
import { prepared, type Reading } from "../../platform/database/prepared.ts";
import type { Furniture } from "../../registry/registry.ts";
import { namespacesOf } from "../rights.ts";

/** A change of a template: what is not given stays, and what is `null` is as the namespace above says. */
export type TemplateChange = { readonly [Part in keyof Furniture]?: Furniture[Part] | null | undefined };

/** Of a row; nobody else writes these. */
export const parseTemplate = (text: string | null): Furniture =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `changedTemplate` made it
  text === null ? {} : (JSON.parse(text) as Furniture);

/** What is stored: `null` where it says nothing. */
export const storedTemplate = (template: Furniture): string | null =>
  Object.keys(template).length === 0 ? null : JSON.stringify(template);

export function changedTemplate(before: Furniture, { description, labels }: TemplateChange): Furniture {
  const after = {
    description: description === undefined ? before.description : (description ?? undefined),
    labels: labels === undefined ? before.labels : (labels ?? undefined),
  };
  return {
    ...(after.description !== undefined && { description: after.description }),
    ...(after.labels !== undefined && { labels: after.labels }),
  };
}

const templates = prepared((read, { names }: { readonly names: string }, dialect) =>
  read
    .selectFrom("namespaces")
    .select(["name", "template"])
    .where("template", "is not", null)
    .where("name", "in", textsOf(dialect, names)),
);

/** What repositories of this name are made with; of each part the nearest namespace that says something decides. */
export async function templateOfNew(database: Reading, name: RepositoryName): Promise<Furniture> {
  const rows = await templates(database, { names: JSON.stringify(namespacesOf(name)) });
  const outermostFirst = rows.toSorted((one, other) => one.name.length - other.name.length);
  return outermostFirst.reduce<Furniture>((found, { template }) => ({ ...found, ...parseTemplate(template) }), {});
}
