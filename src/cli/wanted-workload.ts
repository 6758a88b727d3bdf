import type { Workload } from "../access/workload/workload.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Database } from "../platform/database/database.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";

interface WorkloadParts {
  readonly database: Database;
  readonly log: Pick<Log, "info" | "warn">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What it needs is loaded for the first token that another issuer has signed: most servers see none. */
export function loadedLater(
  { issuers: listed = [] }: Config["access"],
  { database, log, now }: WorkloadParts,
): Workload {
  let opened: Promise<Workload> | undefined;
  const open = async (): Promise<Workload> => {
    const { openIssuers } = await import("../access/workload/issuers.ts");
    const { openWorkload } = await import("../access/workload/workload.ts");
    return openWorkload({ database, issuers: openIssuers({ listed, log, now }), now });
  };
  const loaded = (): Promise<Workload> => (opened ??= open());
  return {
    identify: async (shown) => (await loaded()).identify(shown),
    tryOut: async (shown) => (await loaded()).tryOut(shown),
  };
}

/** The same, counted. */
export function wantedWorkload(
  config: Config,
  { metrics, ...parts }: WorkloadParts & { readonly metrics: Metrics },
): Workload {
  const add = metrics.counter("berth_workload_tokens_total", "Tokens of other issuers that were shown for robots.", [
    "outcome",
  ]);
  const workload = loadedLater(config.access, parts);
  return {
    ...workload,
    async identify(shown) {
      const answer = await workload.identify(shown);
      add({ outcome: answer.kind === "robot" ? "accepted" : answer.reason });
      return answer;
    },
  };
}
