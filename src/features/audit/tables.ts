import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** What was done, and what was refused. Only ever added to; whole batches at the old end go with their age. */
    audit_entries: {
      /** 1, 2, 3, ... in the order in which they were committed, without a gap. */
      readonly id: number;
      /** When it happened, which may be a little before it was written down. */
      readonly at: number;
      readonly action: string;
      readonly outcome: string;
      readonly actor_kind: string;
      readonly actor_id: string;
      readonly actor_name: string;
      readonly token_id: string | null;
      readonly address: string | null;
      readonly request_id: string | null;
      readonly repository: string | null;
      /** What it was done to: a tag, a digest, a name. */
      readonly target: string | null;
      /** How often; more than once only what was refused, or a sign-in. */
      readonly times: number;
      /** JSON: the rest. */
      readonly detail: string;
    };
    /** Further requests that an entry with a count stands for. */
    audit_requests: { readonly request_id: string; readonly entry_id: number };
    /** Each is over its entries and the seal before it. */
    audit_seals: {
      readonly number: number;
      readonly from_id: number;
      readonly to_id: number;
      readonly digest: string;
      readonly sealed_at: number;
      /** The time of the newest of its entries. */
      readonly newest_at: number;
    };
    /** One row: the newest seal whose entries have gone with their age. The chain begins behind it. */
    audit_cut: { readonly id: number; readonly number: number; readonly to_id: number; readonly digest: string };
    /** How far entries have been sent elsewhere, by the name of what sends them. */
    audit_exports: { readonly name: string; readonly sent_id: number };
    /** One row, which whoever adds entries locks. */
    audit_state: { readonly id: number; readonly last_id: number; readonly enabled: number };
  }
}

export type EntryRow = Selectable<Tables["audit_entries"]>;
