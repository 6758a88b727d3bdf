import type { Denial, Problem } from "../oci/problem.ts";
import type { Decision } from "./decide.ts";

/** The rule is for the log; what is missing, for those who may read there. */
export function deniedBy(decision: Decision, mayKnow: boolean): Problem {
  const denial = denialOf(decision);
  const { text, missing } = denial;
  return { code: "DENIED", rule: text, denial, ...(mayKnow && missing !== undefined && { missing }) };
}

export const denialOf = ({ because, ...decision }: Decision): Denial => ({
  ...because,
  ...("missing" in decision && { missing: decision.missing }),
});
