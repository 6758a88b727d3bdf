import { usualItems } from "../../access/api/parameters.ts";
import { type Route, route } from "../../access/api/route.ts";
import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import * as contracts from "./contract.ts";
import { type EntryPlace, findEntries, shownEntry } from "./find-entries.ts";

export const auditRoutes = ({ database }: { readonly database: Database }): readonly Route[] => [
  route(contracts.listAudit, async ({ query: { after, limit = usualItems, since, until, ...filter } }) => {
    const page = await findEntries(
      database.read,
      { ...filter, since: toMs(since), until: toMs(until) },
      { after: after === undefined ? undefined : requirePlace(after), limit },
    );
    const last = page.items.at(-1);
    return {
      items: page.items.map(shownEntry),
      ...(!page.isLast && last !== undefined && { next: `${last.at}-${last.id}` }),
    };
  }),
];

const toMs = (time: string | undefined): number | undefined => (time === undefined ? undefined : Date.parse(time));

const place = /^(\d{1,15})-(\d{1,15})$/;

function requirePlace(text: string): EntryPlace {
  const [, at, id] = place.exec(text) ?? [];
  if (at === undefined || id === undefined) {
    return fail({ code: "INPUT_INVALID", faults: [{ at: "after", reason: "must be `next` of a page" }] });
  }
  return { at: Number(at), id: Number(id) };
}
