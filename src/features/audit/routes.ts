import { usualItems } from "../../access/api/parameters.ts";
import { type Route, route } from "../../access/api/route.ts";
import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import * as contracts from "./contract.ts";
import { exportEntries } from "./export-entries.ts";
import { type EntryPlace, findEntries, shownEntry } from "./find-entries.ts";
import { describeFault, type KnownSeal, verifyAudit } from "./verify.ts";

export const auditRoutes = ({ database }: { readonly database: Database }): readonly Route[] => [
  route(contracts.exportAudit, async ({ query: { after = 0, most } }) => exportEntries(database.read, after, most)),
  verification(database),
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

/** It reads all there is: two at once would only take longer. */
function verification(database: Database): Route {
  let isRunning = false;
  return route(contracts.verifyAudit, async ({ query: { heads = "" } }) => {
    if (isRunning) {
      fail({ code: "TOO_MANY_REQUESTS", reason: "the audit log is being verified already", retryAfterSeconds: 10 });
    }
    isRunning = true;
    try {
      const { faults, ...verified } = await verifyAudit(
        database,
        heads
          .split(",")
          .filter((one) => one !== "")
          .map(knownSeal),
      );
      const told = faults.slice(0, contracts.mostFaultsTold).map((fault) => ({ ...fault, text: describeFault(fault) }));
      return { ...verified, faults: told, faultCount: faults.length };
    } finally {
      isRunning = false;
    }
  });
}

function knownSeal(text: string): KnownSeal {
  const colon = text.indexOf(":");
  return { number: Number(text.slice(0, colon)), digest: text.slice(colon + 1) };
}

const toMs = (time: string | undefined): number | undefined => (time === undefined ? undefined : Date.parse(time));

const place = /^(\d{1,15})-(\d{1,15})$/;

function requirePlace(text: string): EntryPlace {
  const [, at, id] = place.exec(text) ?? [];
  if (at === undefined || id === undefined) {
    return fail({ code: "INPUT_INVALID", faults: [{ at: "after", reason: "must be `next` of a page" }] });
  }
  return { at: Number(at), id: Number(id) };
}
