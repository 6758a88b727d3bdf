import { fail } from "../oci/problem.ts";

/** Why a change of accounts, organizations or rights is not made; whoever asked may be told. */
type Reason =
  /** What is named does not exist. */
  | "unknown"
  /** A name that is somebody else's already. */
  | "taken"
  /** What is given cannot be. */
  | "invalid"
  /** Something else has to be done first. */
  | "in-the-way"
  /** It is not theirs to do. */
  | "forbidden";

/** @throws RegistryError within a transaction, which it undoes */
export function refuse(reason: Reason, text: string): never {
  switch (reason) {
    case "unknown":
      return fail({ code: "OBJECT_UNKNOWN", what: text });
    case "taken":
    case "in-the-way":
      return fail({ code: "CONFLICT", reasons: [text] });
    case "invalid":
      return fail({ code: "INPUT_INVALID", faults: [{ at: "", reason: text }] });
    case "forbidden":
      return fail({ code: "DENIED", rule: text, missing: text });
    default:
      return reason satisfies never;
  }
}
