import type { BrowserSources } from "../access/sources/browser-sources.ts";
import type { SourcesDeps } from "../access/sources/guarded-source.ts";
import type { Source } from "../access/sources/source.ts";
import type { Sources } from "../access/sources/sources.ts";
import type { Config } from "../platform/config/schema.ts";
import type { SourceSettings } from "../platform/config/sources-schema.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";

interface WantedSourcesDeps extends Omit<SourcesDeps, "count"> {
  readonly metrics: Metrics;
}

export interface WantedSources {
  readonly sources: Sources;
  readonly browserSources: BrowserSources;
}

/** What they need is loaded when somebody asks them: most servers have none, and all start sooner. */
export function wantedSources(config: Config, { metrics, ...deps }: WantedSourcesDeps): WantedSources {
  const wanted = enabledSources(config);
  for (const source of wanted) {
    const warning = "access.sources: certificates are not verified, so whoever stands in between can read passwords";
    if (source.kind === "ldap" && !source.verifyCertificate)
      deps.log.warn("configuration", { warning, source: source.name });
  }
  const add = metrics.counter("berth_source_answers_total", "Answers of sources of identity.", ["source", "outcome"]);
  const count: SourcesDeps["count"] = (source, outcome) => add({ source, outcome });
  const counted = { ...deps, count };
  const made = once(() => makeSources(wanted));
  const all = once(async () => (await import("../access/sources/sources.ts")).openSources(await made(), counted));
  const browser = once(async () => {
    const { openBrowserSources } = await import("../access/sources/browser-sources.ts");
    const sources = await made();
    return openBrowserSources(
      sources.filter((source) => source.kind === "browser"),
      counted,
    );
  });
  return {
    sources: {
      signIn: async (name, password) => (wanted.length === 0 ? undefined : (await all()).signIn(name, password)),
      hasAccounts: async () => (await all()).hasAccounts(),
      resync: async (signal) => (await all()).resync(signal),
    },
    browserSources: {
      labels: wanted.flatMap((source) =>
        source.kind === "oidc" ? [{ name: source.name, label: source.label ?? source.name }] : [],
      ),
      begin: async (...given) => (await browser()).begin(...given),
      finish: async (...given) => (await browser()).finish(...given),
      endUrl: async (...given) => (await browser()).endUrl(...given),
    },
  };
}

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => (opened ??= open());
}

async function makeSources(wanted: readonly SourceSettings[]): Promise<readonly Source[]> {
  if (wanted.length === 0) return [];
  const { sourceOf } = await import("../access/sources/source-of.ts");
  return wanted.map(sourceOf);
}

const enabledSources = ({ access }: Config): readonly SourceSettings[] =>
  (access.sources ?? []).filter(({ enabled }) => enabled);
