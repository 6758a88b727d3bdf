import type { LimitPulls } from "../http/distribution/limit-pulls.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Database } from "../platform/database/database.ts";
import type { Operation } from "./operation.ts";

export interface OpenPullLimits {
  readonly limitPulls: LimitPulls;
  /** Writes down what was counted. */
  readonly flush: () => Promise<void>;
}

export const wantsPullLimits = ({ pullLimits: { anonymous, account, robot, plans = [] } }: Config): boolean =>
  [anonymous, account, robot, ...plans.map(({ pulls }) => pulls)].some((limit) => limit !== undefined);

/** What limits pulls; `undefined` where nobody has a limit. */
export async function openPullLimits(
  config: Config,
  database: Database,
  { log, metrics }: Pick<Operation, "log" | "metrics">,
): Promise<OpenPullLimits | undefined> {
  if (!wantsPullLimits(config)) return undefined;
  const [{ pullCounts }, { pullLimits }, { limitPulls }] = await Promise.all([
    import("../features/limits/pull-counts.ts"),
    import("../features/limits/pull-limits.ts"),
    import("../http/distribution/limit-pulls.ts"),
  ]);
  const { pullLimits: settings } = config;
  const counts = pullCounts({ database, log, windowMs: settings.windowSeconds * 1000 });
  const refused = metrics.counter("berth_pull_limit_refused_total", "Pulls that a limit has refused.", ["kind"]);
  metrics.gauge("berth_pull_limit_sources", "Networks and accounts whose pulls are counted in memory.", counts.size);
  return { limitPulls: limitPulls(pullLimits(settings, counts), (kind) => refused({ kind })), flush: counts.flush };
}
