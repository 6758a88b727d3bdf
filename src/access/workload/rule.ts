import { z } from "zod";

/** A claim and what it has to be: the text itself, or a glob for all of it in which `*` is any text. */
export interface Condition {
  /** A name, or a JSON Pointer (RFC 6901) to what is further inside. */
  readonly claim: string;
  readonly pattern: string;
}

/** Whose tokens are a robot's: all of it has to hold. */
export interface Trust {
  readonly issuer: string;
  /** What tokens have to be made for. */
  readonly audience: string;
  readonly conditions: readonly Condition[];
}

export interface WorkloadRule extends Trust {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

const conditions = z.array(z.object({ claim: z.string(), pattern: z.string() }));

/** As a row has them. */
export const conditionsIn = (text: string): readonly Condition[] => conditions.parse(JSON.parse(text));

export const formatCondition = ({ claim, pattern }: Condition): string => `${claim}=${pattern}`;
