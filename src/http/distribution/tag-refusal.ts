import type { Judge } from "../../access/authorize.ts";
import type { Problem } from "../../oci/problem.ts";
import { deniedBy } from "../../access/denied-by.ts";
import type { TagChange } from "../../registry/ports.ts";

/** What stands against a change of a tag, by right: whoever got so far may know what is missing if they may read. */
export const refusalOf =
  (judge: Judge) =>
  ({ tag, from, to }: TagChange): Problem | undefined => {
    const decision = judge(from === undefined ? "create" : to === undefined ? "delete" : "update", tag);
    return decision.allowed ? undefined : deniedBy(decision, judge("read", tag).allowed);
  };
