import type { Sources, SourcesDeps } from "../access/sources/sources.ts";
import type { Config } from "../platform/config/schema.ts";
import type { SourceSettings } from "../platform/config/sources-schema.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";

interface WantedSourcesDeps extends Omit<SourcesDeps, "count"> {
  readonly metrics: Metrics;
}

/** What they need is loaded when somebody asks them: most servers have none, and all start sooner. */
export function wantedSources(config: Config, { metrics, ...deps }: WantedSourcesDeps): Sources {
  const wanted = enabledSources(config);
  for (const { name, verifyCertificate } of wanted) {
    const warning = "access.sources: certificates are not verified, so whoever stands in between can read passwords";
    if (!verifyCertificate) deps.log.warn("configuration", { warning, source: name });
  }
  const add = metrics.counter("berth_source_answers_total", "Answers of sources of identity.", ["source", "outcome"]);
  const count: SourcesDeps["count"] = (source, outcome) => add({ source, outcome });
  let opened: Promise<Sources> | undefined;
  const all = (): Promise<Sources> => (opened ??= open(wanted, { ...deps, count }));
  return {
    signIn: async (name, password) => (wanted.length === 0 ? undefined : (await all()).signIn(name, password)),
    hasAccounts: async () => (await all()).hasAccounts(),
    resync: async (signal) => (await all()).resync(signal),
  };
}

async function open(wanted: readonly SourceSettings[], deps: SourcesDeps): Promise<Sources> {
  const { openSources } = await import("../access/sources/sources.ts");
  if (wanted.length === 0) return openSources([], deps);
  const { sourceOf } = await import("../access/sources/source-of.ts");
  return openSources(wanted.map(sourceOf), deps);
}

const enabledSources = ({ access }: Config): readonly SourceSettings[] =>
  (access.sources ?? []).filter(({ enabled }) => enabled);
