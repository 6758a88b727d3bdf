import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** What creations with an `Idempotency-Key` were answered, for the same request once more. */
    idempotent_answers: {
      /** A hash of who asked and the key. */
      readonly id: string;
      readonly principal: string;
      /** Of all that was asked. */
      readonly request_hash: string;
      /** The answer may hold a secret that is shown once. */
      readonly sealed_answer: string;
      readonly created_at: number;
    };
  }
}

export type IdempotentAnswerRow = Selectable<Tables["idempotent_answers"]>;
