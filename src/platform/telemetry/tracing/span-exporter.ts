import { setTimeout as sleep } from "node:timers/promises";
import type { GuardedFetch } from "../../net/guarded-fetch.ts";
import { OutboundError } from "../../net/outbound.ts";
import type { Log } from "../log.ts";
import { encodeSpans, type Resource } from "./otlp.ts";
import type { Span } from "./span.ts";

export interface SpanExporter {
  /** Never waits; a span for which there is no room is counted and forgotten. */
  add(span: Span): void;
  /** Sends what there is, for no longer than the limit. */
  stop(limitMs: number): Promise<void>;
  counts(): ExportCounts;
}

export interface ExportCounts {
  readonly sent: number;
  readonly dropped: number;
}

export interface ExporterSettings {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: Resource;
  readonly intervalMs: number;
  readonly batchSpans: number;
  /** Those that wait and those that are on their way. */
  readonly mostSpans: number;
  /** How often a batch is tried. */
  readonly attempts: number;
  /** The rest after the first attempt that failed; it doubles from there. */
  readonly restMs: number;
}

export const usualExport = {
  intervalMs: 2000,
  batchSpans: 256,
  mostSpans: 4096,
  attempts: 5,
  restMs: 1000,
} as const;

type Outcome =
  | { readonly kind: "sent" }
  | { readonly kind: "failed"; readonly reason: string; readonly again: boolean };

/** Worth another try by the specification of OTLP. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Sends spans in batches, one at a time; whatever the collector does, nobody waits for it and the queue has its bound. */
export function spanExporter(
  settings: ExporterSettings,
  send: GuardedFetch,
  log: Pick<Log, "info" | "warn">,
): SpanExporter {
  const { batchSpans, mostSpans } = settings;
  const stopping = new AbortController();
  let waiting: Span[] = [];
  let onTheirWay = 0;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const counts = { sent: 0, dropped: 0 };
  const notice = failureNotice(log);

  const run = async (signal: AbortSignal, isLast: boolean): Promise<void> => {
    while (waiting.length > 0 && !signal.aborted) {
      const batch = waiting.slice(0, batchSpans);
      waiting = waiting.slice(batchSpans);
      onTheirWay = batch.length;
      const isSent = await deliver(batch, { settings, send, signal, notice, attempts: isLast ? 1 : settings.attempts });
      onTheirWay = 0;
      if (isSent) counts.sent += batch.length;
      // What the end of the server has interrupted goes with its last attempt.
      else if (signal.aborted && !isLast) waiting = [...batch, ...waiting];
      else counts.dropped += batch.length;
    }
  };
  const start = (): void => {
    clearTimeout(timer);
    timer = undefined;
    running ??= run(stopping.signal, false).finally(() => (running = undefined));
  };
  return {
    add(span) {
      if (stopping.signal.aborted || waiting.length + onTheirWay >= mostSpans) {
        counts.dropped++;
        return;
      }
      waiting.push(span);
      if (waiting.length >= batchSpans) start();
      else timer ??= setTimeout(start, settings.intervalMs).unref();
    },
    async stop(limitMs) {
      clearTimeout(timer);
      stopping.abort();
      await running;
      await run(AbortSignal.timeout(limitMs), true);
      counts.dropped += waiting.length;
      waiting = [];
    },
    counts: () => ({ ...counts }),
  };
}

interface Delivery {
  readonly settings: ExporterSettings;
  readonly send: GuardedFetch;
  readonly signal: AbortSignal;
  readonly notice: (outcome: Outcome) => void;
  readonly attempts: number;
}

async function deliver(
  batch: readonly Span[],
  { settings, send, signal, notice, attempts }: Delivery,
): Promise<boolean> {
  const body = encodeSpans(batch, settings.resource);
  for (let attempt = 1; ; attempt++) {
    const outcome = await sendOnce({ settings, send, signal }, body);
    if (signal.aborted) return outcome.kind === "sent";
    notice(outcome);
    if (outcome.kind === "sent") return true;
    if (!outcome.again || attempt >= attempts) return false;
    await sleep(settings.restMs * 2 ** (attempt - 1), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return false;
  }
}

async function sendOnce(
  { settings: { url, headers }, send, signal }: Pick<Delivery, "settings" | "send" | "signal">,
  body: Uint8Array,
): Promise<Outcome> {
  try {
    const type = { "content-type": "application/x-protobuf" };
    const reply = await send({ url, method: "POST", headers: { ...headers, ...type }, body, signal });
    // What a collector has to say beside its status is of no use here.
    reply.cancel();
    if (reply.status >= 200 && reply.status < 300) return { kind: "sent" };
    return { kind: "failed", reason: `status ${reply.status}`, again: passing.has(reply.status) };
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    return { kind: "failed", reason: error.message, again: true };
  }
}

/** Says once that spans do not arrive, and once that they do again. */
function failureNotice(log: Pick<Log, "info" | "warn">): (outcome: Outcome) => void {
  let isFailing = false;
  return (outcome) => {
    if (outcome.kind === "sent") {
      if (isFailing) log.info("traces sent again");
      isFailing = false;
      return;
    }
    if (!isFailing) log.warn("traces not sent", { reason: outcome.reason });
    isFailing = true;
  };
}
