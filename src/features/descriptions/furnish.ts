import { templateOfNew } from "../../access/organizations/template.ts";
import type { Database } from "../../platform/database/database.ts";
import { within } from "../../platform/database/prepared.ts";
import type { Registry } from "../../registry/registry.ts";
import { storeDescription } from "./store-description.ts";

/** Gives a new repository what is said for it, and else what its namespace's template has, in the transaction that makes it. */
export const furnisher =
  (database: Database, now: () => number): Registry["furnish"] =>
  async (tx, repository, given = {}) => {
    const { description: text, labels } = { ...(await templateOfNew(within(tx, database), repository)), ...given };
    if (text === undefined && labels === undefined) return;
    await storeDescription(tx, database, { repository, text, labels, expected: undefined, updatedAt: now() });
  };
