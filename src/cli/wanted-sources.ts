import { noSources, type Sources, type SourcesDeps } from "../access/sources/sources.ts";
import type { Config } from "../platform/config/schema.ts";
import type { SourceSettings } from "../platform/config/sources-schema.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";

interface WantedSourcesDeps extends Omit<SourcesDeps, "count"> {
  readonly metrics: Metrics;
}

/** Where there are none, nothing of them is loaded. */
export async function openWantedSources(config: Config, { metrics, ...deps }: WantedSourcesDeps): Promise<Sources> {
  const wanted = enabledSources(config);
  if (wanted.length === 0) return noSources;
  const { sourceOf } = await import("../access/sources/source-of.ts");
  const { openSources } = await import("../access/sources/sources.ts");
  for (const settings of wanted) {
    if (!settings.verifyCertificate)
      deps.log.warn("access.sources: certificates are not verified, so anyone in between can read passwords", {
        source: settings.name,
      });
  }
  const add = metrics.counter("berth_source_answers_total", "Answers of the sources of identity.", ["source", "outcome"]);
  return openSources(wanted.map(sourceOf), { ...deps, count: (source, outcome) => add({ source, outcome }) });
}

const enabledSources = ({ access }: Config): readonly SourceSettings[] =>
  (access.sources ?? []).filter(({ enabled }) => enabled);
