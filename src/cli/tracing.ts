import { readFile } from "node:fs/promises";
import type { Config } from "../platform/config/schema.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";
import type { Tracer } from "../platform/telemetry/tracing/tracer.ts";
import { startStep } from "./start-error.ts";
import { version } from "./version.ts";

/** Traces requests where `tracing.endpoint` is set; what it takes is not even loaded otherwise. @throws StartError */
export async function openTracing(
  { tracing }: Config,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
): Promise<Tracer | undefined> {
  const { endpoint, caFile, timeoutSeconds, serviceName } = tracing;
  if (endpoint === undefined) return undefined;
  const [{ createTracer }, { spanExporter, usualExport }, { guardedFetch }] = await Promise.all([
    import("../platform/telemetry/tracing/tracer.ts"),
    import("../platform/telemetry/tracing/span-exporter.ts"),
    import("../platform/net/guarded-fetch.ts"),
  ]);
  const ca = caFile === undefined ? undefined : await startStep("tracing.caFile", async () => readFile(caFile, "utf8"));
  const url = new URL(endpoint);
  if (url.pathname === "/") url.pathname = "/v1/traces";
  // Whoever may write the configuration may say where the collector is: it is mostly next door.
  const send = guardedFetch({
    allow: [url.hostname],
    wholeMs: timeoutSeconds * 1000,
    maxBodyBytes: 0,
    ...(ca !== undefined && { ca }),
  });
  const attributes = { "service.name": serviceName, "service.version": version, "process.pid": process.pid };
  const resource = { attributes, scope: { name: "berth", version } };
  const exporter = spanExporter({ ...usualExport, url: url.href, headers: headersOf(tracing), resource }, send, log);
  metrics.total("berth_trace_spans_sent_total", "Spans that the collector has taken.", () => exporter.counts().sent);
  metrics.total(
    "berth_trace_spans_dropped_total",
    "Spans that were given up: the collector did not take them, or there was no room for more.",
    () => exporter.counts().dropped,
  );
  return createTracer(exporter, tracing.sampleRatio);
}

/** What has gathered goes out in what is left of the drain; a collector that does not answer is no reason to stay. */
export const flushTraces = async (tracer: Tracer | undefined, drainUntil: number): Promise<void> =>
  tracer?.stop(Math.min(mostFlushMs, Math.max(leastFlushMs, drainUntil - performance.now())));

const leastFlushMs = 500;
const mostFlushMs = 5000;

const headersOf = ({ headers = "" }: Config["tracing"]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    headers.split(",").flatMap((one) => {
      const mark = one.indexOf("=");
      return mark === -1 ? [] : [[one.slice(0, mark).trim(), one.slice(mark + 1).trim()]];
    }),
  );
