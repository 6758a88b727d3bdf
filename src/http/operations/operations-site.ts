import { fail } from "../../oci/problem.ts";
import type { Handle, Reply } from "../../platform/runtime/http.ts";
import type { Metrics } from "../../platform/telemetry/metrics.ts";
import type { Site } from "../entrance.ts";
import type { Readiness } from "./readiness.ts";

interface OperationsDeps {
  readonly readiness: Pick<Readiness, "reasons">;
  /** Absent when `metrics.enabled` is off. */
  readonly metrics: Pick<Metrics, "render"> | undefined;
}

/** A state of now: no cache may answer in our place. */
const headers = { "cache-control": "no-store" };

const paths = ["/healthz", "/readyz", "/metrics"] as const;

export const isOperationPath = (path: string): boolean => paths.some((one) => one === path);

/** What machines ask that watch over the server; open to all, so nothing here names a repository or an account. */
export function operationsSite({ readiness, metrics }: OperationsDeps): Site {
  const handlers: Readonly<Partial<Record<(typeof paths)[number], Handle>>> = {
    "/healthz": async () => ({ kind: "json", status: 200, headers, body: { status: "ok" } }),
    "/readyz": () => readyReply(readiness),
    ...(metrics && { "/metrics": () => metricsReply(metrics) }),
  };
  return async (request, notes) => {
    const path = paths.find((one) => one === request.path);
    const handle = path === undefined ? undefined : handlers[path];
    if (handle === undefined) return undefined;
    notes.handler = request.path.slice(1);
    if (request.method === "GET" || request.method === "HEAD") return handle(request);
    return fail({ code: "METHOD_UNSUPPORTED", allow: ["GET", "HEAD"], reason: "this method does nothing here" });
  };
}

async function readyReply(readiness: OperationsDeps["readiness"]): Promise<Reply> {
  const reasons = await readiness.reasons();
  const ready = reasons.length === 0;
  const body = { ready, reasons: reasons.map(({ check, reason }) => ({ check, reason })) };
  return { kind: "json", status: ready ? 200 : 503, headers, body };
}

async function metricsReply(metrics: Pick<Metrics, "render">): Promise<Reply> {
  const { contentType, text } = await metrics.render();
  return { kind: "bytes", status: 200, headers: { ...headers, "content-type": contentType }, body: Buffer.from(text) };
}
