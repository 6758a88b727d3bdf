import { accountRoutes, type AccountRoutesDeps, ownRoutes, type OwnRoutesDeps } from "../../access/accounts/routes.ts";
import type { Route } from "../../access/api/route.ts";
import { sessionRoutes } from "../../access/sessions/routes.ts";
import type { Sessions } from "../../access/sessions/sessions.ts";

export type AdministrationDeps = AccountRoutesDeps;

export interface RoutesDeps extends AdministrationDeps, OwnRoutesDeps {
  readonly sessions: Sessions;
}

/** Routes that are about others than who asks: what an operator may do on the data folder too. */
export const administrationRoutes = (deps: AdministrationDeps): readonly Route[] => [...accountRoutes(deps)];

/** Every route of the API. */
export const apiRoutes = (deps: RoutesDeps): readonly Route[] => [
  ...sessionRoutes(deps),
  ...ownRoutes(deps),
  ...administrationRoutes(deps),
];
