import { toTime } from "../../access/api/parameters.ts";
import { type Route, route } from "../../access/api/route.ts";
import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import { findRepository } from "../../registry/repositories.ts";
import * as contracts from "./contract.ts";
import { type Description, findDescription, storeDescription } from "./store-description.ts";

export interface DescriptionRoutesDeps {
  readonly database: Database;
  readonly now: () => number;
}

export const descriptionRoutes = ({ database, now }: DescriptionRoutesDeps): readonly Route[] => [
  route(contracts.showDescription, async ({ params: { repository: name } }) => {
    const id = (await findRepository(database.read, name)) ?? fail({ code: "NAME_UNKNOWN", name });
    return shown(await findDescription(database.read, id));
  }),
  route(contracts.setDescription, ({ params: { repository }, body: { text, labels }, expected, commit }) =>
    commit(async (tx) =>
      shown(await storeDescription(tx, database, { repository, text, labels, expected, updatedAt: now() })),
    ),
  ),
];

const shown = ({ updatedAt, ...description }: Description) => ({
  ...description,
  ...(updatedAt !== undefined && { updatedAt: toTime(updatedAt) }),
});
