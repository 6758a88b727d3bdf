import type { Registry } from "../../registry/registry.ts";
import { listTags } from "../../registry/tags.ts";
import type { Endpoint } from "./endpoint.ts";
import { nextLink, pageReply, readLast, readPageSize } from "./paging.ts";

/** Enough that most clients, which never page, see every tag. */
const mostWithoutN = 10_000;
const mostTags = 1000;

/** GET and HEAD /v2/<name>/tags/list (distribution-spec end-8). */
export const getTags = (registry: Registry): Endpoint => ({
  need: "pull",
  async run({ request, repository }) {
    const asked = readPageSize(request);
    const limit = asked === undefined ? mostWithoutN : Math.min(asked, mostTags);
    const page = await listTags(registry, repository, { after: readLast(request), limit });
    const last = page.items.at(-1);
    const hasNext = !page.isLast && last !== undefined;
    return pageReply(hasNext ? nextLink(request, { n: String(limit), last }) : {}, {
      name: repository,
      tags: page.items,
    });
  },
});
