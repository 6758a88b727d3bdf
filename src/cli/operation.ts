import { setTimeout as sleep } from "node:timers/promises";
import { entrance } from "../http/entrance.ts";
import { isOperationPath, operationsSite } from "../http/operations/operations-site.ts";
import { type Readiness, type Reason, trackReadiness } from "../http/operations/readiness.ts";
import type { Site } from "../http/entrance.ts";
import { type TrustProxies, trustedProxies } from "../http/trusted-proxies.ts";
import { fail } from "../oci/problem.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Handle } from "../platform/runtime/http.ts";
import type { Log } from "../platform/telemetry/log.ts";
import { type Metrics, openMetrics, type RenderedMetrics } from "../platform/telemetry/metrics.ts";
import type { Tracer } from "../platform/telemetry/tracing/tracer.ts";
import { openTracing } from "./tracing.ts";
import { version } from "./version.ts";

/** What watches over the server, from before it has a registry until after it. */
export interface Operation {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly site: Site;
  readonly trustProxies: TrustProxies;
  /** Absent where nothing is traced. */
  readonly tracer: Tracer | undefined;
}

/** What is told of the whole server, where this process is one of several. */
export interface WholeServer {
  reasons(own: readonly Reason[]): Promise<readonly Reason[]>;
  renderMetrics(): Promise<RenderedMetrics>;
}

/** @throws StartError */
export async function openOperation(config: Config, log: Log, whole?: WholeServer): Promise<Operation> {
  const metrics = openMetrics(version);
  const readiness = trackReadiness(log);
  const told = whole === undefined ? readiness : { reasons: async () => whole.reasons(await readiness.reasons()) };
  const counted = whole === undefined ? metrics : { render: () => whole.renderMetrics() };
  const site = operationsSite({ readiness: told, metrics: config.metrics.enabled ? counted : undefined });
  const { http } = config;
  return {
    log,
    metrics,
    readiness,
    site,
    trustProxies: trustedProxies({ networks: http.trustedProxies ?? [], header: http.forwardedHeader }),
    tracer: await openTracing(config, { log, metrics }),
  };
}

/** How long a request waits for a server that starts; most have an answer long before. */
const waitMs = 10_000;
const mostWaiting = 1000;

/**
 * Answers while the registry is being opened: who watches over the server at once, all others when it is there, so that
 * a restart is a pause to them and no failure. @param opened what answers then
 */
export function startingEntrance(operation: Operation, opened: Promise<Handle>): Handle {
  const { log, metrics, site, trustProxies, tracer } = operation;
  const early = entrance({ log, metrics, trustProxies, tracer, challenge: () => undefined, sites: [site, starting] });
  let waiting = 0;
  return async (request) => {
    if (isOperationPath(request.path) || waiting >= mostWaiting) return early(request);
    waiting++;
    const handle = await Promise.race([opened, sleep(waitMs, undefined, { ref: false })]);
    waiting--;
    return (handle ?? early)(request);
  };
}

const starting: Site = async () =>
  fail({ code: "UNAVAILABLE", reason: "the server is starting", retryAfterSeconds: 1 });
