import type { z } from "zod";
import { parseRepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { PageRequest } from "../../registry/repositories.ts";
import { usualItems } from "../api/parameters.ts";
import { permit } from "../api/permit.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import { namespaceNamed } from "../organizations/namespaces.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import * as contracts from "./contract.ts";
import type { Protection } from "./protection.ts";
import {
  createProtection,
  deleteProtection,
  findProtectedPlace,
  listProtections,
  type ProtectedPlace,
} from "./protections.ts";

export function protectionRoutes(deps: ModelRoutesDeps): readonly Route[] {
  const { read } = deps.database;
  const page = async (place: ProtectedPlace, request: PageRequest) =>
    answerPage(await listProtections(read, place, request), ({ id }) => id);
  return [
    route(contracts.listNamespaceProtections, ({ params, query: { after, limit = usualItems } }) =>
      page(inNamespace(params.namespace), { after, limit }),
    ),
    route(contracts.protectInNamespace, (call) =>
      call.commit(async (tx) =>
        createProtection(await changing(deps, call)(tx), inNamespace(call.params.namespace), ruleOf(call.body)),
      ),
    ),
    route(contracts.listRepositoryProtections, ({ params, query: { after, limit = usualItems } }) =>
      page(inRepository(params.repository), { after, limit }),
    ),
    route(contracts.protectInRepository, (call) =>
      call.commit(async (tx) =>
        createProtection(await changing(deps, call)(tx), inRepository(call.params.repository), ruleOf(call.body)),
      ),
    ),
    route(contracts.deleteProtection, async (call) => {
      const id = call.params.protection;
      const unknown = { code: "OBJECT_UNKNOWN", what: "protection" } as const;
      const place = (await findProtectedPlace(read, id)) ?? fail(unknown);
      await permit(deps.authorize, call.by, {
        verb: "delete",
        place,
        subject: "protection",
        unknown,
        readsSubject: true,
      });
      return call.commit(async (tx) => {
        await deleteProtection(await changing(deps, call)(tx), id);
        return { dryRun: call.dryRun, removes: [one("protection", id)] };
      });
    }),
  ];
}

const inNamespace = (label: string): ProtectedPlace => ({ kind: "namespace", name: namespaceNamed(label) });
const inRepository = (text: string): ProtectedPlace => ({
  kind: "repository",
  name: parseRepositoryName(text) ?? fail({ code: "NAME_UNKNOWN", name: text }),
});

/** What is not given is absent, not undefined. */
const ruleOf = ({ pattern, roles }: z.infer<(typeof contracts.protectInNamespace)["body"]>): Protection => ({
  pattern,
  roles: {
    ...(roles.create && { create: roles.create }),
    ...(roles.update && { update: roles.update }),
    ...(roles.delete && { delete: roles.delete }),
  },
});
