import type { Decision } from "./decide.ts";
import type { Problem } from "../oci/problem.ts";

/** The rule is for the log; what is missing, for those who may read there. */
export function deniedBy({ because, ...decision }: Decision, mayKnow: boolean): Problem {
  const missing = mayKnow && "missing" in decision ? decision.missing : undefined;
  return { code: "DENIED", rule: because.text, ...(missing !== undefined && { missing }) };
}
