import { accountRoutes, type AccountRoutesDeps, ownRoutes, type OwnRoutesDeps } from "../../access/accounts/routes.ts";
import type { DeviceSignInsDeps } from "../../access/device/device-sign-ins.ts";
import { deviceRoutes } from "../../access/device/routes.ts";
import { rightsRoutes } from "../../access/grants/routes.ts";
import { organizationRoutes } from "../../access/organizations/routes.ts";
import { protectionRoutes } from "../../access/protections/routes.ts";
import type { Route } from "../../access/api/route.ts";
import { auditRoutes } from "../../features/audit/routes.ts";
import { robotRoutes } from "../../access/robots/routes.ts";
import { type TokenRoutesDeps, tokenRoutes } from "../../access/tokens/routes.ts";
import { type SourceRoutesDeps, sourceRoutes } from "../../access/sources/routes.ts";
import { type WorkloadRoutesDeps, workloadRoutes } from "../../access/workload/routes.ts";
import { type SessionRoutesDeps, sessionRoutes } from "../../access/sessions/routes.ts";
import { resetRoutes, secondFactorRoutes, type SecondFactorRoutesDeps } from "../../access/second-factor/routes.ts";
import type { SecondFactors } from "../../access/second-factor/second-factors.ts";
import { descriptionRoutes } from "../../features/descriptions/routes.ts";
import { usageRoutes } from "../../features/usage/routes.ts";
import { repositoryRoutes, type RepositoryRoutesDeps } from "./repositories/routes.ts";
import { uploadRoutes } from "./repositories/upload-routes.ts";

export interface AdministrationDeps
  extends AccountRoutesDeps, TokenRoutesDeps, WorkloadRoutesDeps, SourceRoutesDeps, RepositoryRoutesDeps {}

export interface RoutesDeps
  extends AdministrationDeps, OwnRoutesDeps, SecondFactorRoutesDeps, SessionRoutesDeps, DeviceSignInsDeps {
  readonly secondFactors: SecondFactors;
}

/** Routes that are about others than who asks: what an operator may do on the data folder too. */
export const administrationRoutes = (deps: AdministrationDeps): readonly Route[] => [
  ...accountRoutes(deps),
  ...resetRoutes(deps),
  ...auditRoutes(deps),
  ...organizationRoutes(deps),
  ...sourceRoutes(deps),
  ...rightsRoutes(deps),
  ...tokenRoutes(deps),
  ...robotRoutes(deps),
  ...workloadRoutes(deps),
  ...protectionRoutes(deps),
  ...repositoryRoutes(deps),
  ...descriptionRoutes(deps),
  ...uploadRoutes(deps.registry),
  ...usageRoutes(deps),
];

/** Every route of the API. */
export const apiRoutes = (deps: RoutesDeps): readonly Route[] => [
  ...sessionRoutes(deps),
  ...deviceRoutes(deps),
  ...ownRoutes(deps),
  ...secondFactorRoutes(deps),
  ...administrationRoutes(deps),
];
