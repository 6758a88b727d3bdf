import type { Selectable } from "kysely";

/** Whose tokens, by which claims, are as good as a secret of a robot. */
interface WorkloadRulesTable {
  readonly id: string;
  readonly robot_id: string;
  readonly issuer: string;
  readonly audience: string;
  /** JSON: a list of claims and patterns. */
  readonly conditions: string;
  readonly created_at: number;
}

/** Tokens that were exchanged, until they would be no good any more. */
interface WorkloadExchangesTable {
  /** A hash of the issuer and the token's own id. */
  readonly key: string;
  readonly robot_id: string;
  readonly expires_at: number;
}

export type WorkloadRuleRow = Selectable<WorkloadRulesTable>;

declare module "../../platform/database/database.ts" {
  interface Tables {
    workload_rules: WorkloadRulesTable;
    workload_exchanges: WorkloadExchangesTable;
  }
}
