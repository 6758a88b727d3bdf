import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { Registry } from "../../registry/registry.ts";
import { listRepositories, type Visible } from "../../registry/repositories.ts";
import { nextLink, pageReply, readLast, readPageSize } from "./paging.ts";

const presetRepositories = 100;
const mostRepositories = 1000;

/** GET and HEAD /v2/_catalog (docker's extension): the repositories that the caller may pull from. */
export const getCatalog =
  (registry: Registry) =>
  async (request: Incoming, visible: Visible): Promise<Reply> => {
    const limit = readPageSize(request) ?? presetRepositories;
    if (limit > mostRepositories) fail({ code: "PAGINATION_NUMBER_INVALID", given: String(limit) });
    const page = await listRepositories(registry, visible, { after: readLast(request), limit });
    const last = page.items.at(-1);
    const hasNext = !page.isLast && last !== undefined;
    return pageReply(hasNext ? nextLink(request, { n: String(limit), last }) : {}, { repositories: page.items });
  };
