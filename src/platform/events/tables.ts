import type { Generated } from "kysely";

declare module "../database/database.ts" {
  interface Tables {
    /** What was changed, written with the change itself; a row has the events of one transaction, or some of them. */
    event_outbox: {
      readonly id: Generated<number>;
      /** On PostgreSQL; on SQLite the id is the position. */
      readonly position: number | null;
      readonly recorded_at: number;
      /** JSON. */
      readonly events: string;
      /** JSON: whose doing it was, where that is told. */
      readonly envelope: string | null;
    };
    /** Who reads the events, and up to where they have. What all of them have read goes. */
    event_consumers: { readonly name: string; readonly position: number };
  }
}
