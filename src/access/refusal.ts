/** Why a change of accounts, organizations or rights was not made; whoever asked may be told. */
export type RefusalReason =
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

/** Thrown within a transaction, which it undoes. */
export class AccessRefusal extends Error {
  override readonly name = "AccessRefusal";
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, text: string) {
    super(text);
    this.reason = reason;
  }
}

export function refuse(reason: RefusalReason, text: string): never {
  throw new AccessRefusal(reason, text);
}
