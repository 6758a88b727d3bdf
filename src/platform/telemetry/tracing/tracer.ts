import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import type { ExportCounts, SpanExporter } from "./span-exporter.ts";
import type { SpanAttributes } from "./span.ts";
import { parseTraceParent } from "./trace-parent.ts";

export interface Tracer {
  /**
   * Begins the span of a request, as a child of the one in its `traceparent`; `undefined` when it is left out of the sample.
   */
  request(traceparent: string | undefined): RequestSpan | undefined;
  /** Something that has just ended, in the request that it was done for; outside of one it is nobody's. */
  done(name: string, seconds: number, attributes?: SpanAttributes): void;
  /** Sends what has gathered, for no longer than the limit. */
  stop(limitMs: number): Promise<void>;
  counts(): ExportCounts;
}

export interface RequestSpan {
  readonly traceId: string;
  run<T>(work: () => T): T;
  end(about: EndedRequest): void;
}

export interface EndedRequest {
  readonly name: string;
  readonly attributes: SpanAttributes;
  readonly isError: boolean;
}

/** What one request may have below it; the rest would be of use to nobody. */
const mostChildren = 64;

interface Current {
  /** From this process's own clock, which is finer and never set, to the time of day. */
  readonly offsetMs: number;
  readonly traceId: string;
  readonly spanId: string;
  children: number;
}

/** @param sampleRatio how many of the requests are traced, of those whose caller does not say no */
export function createTracer(exporter: SpanExporter, sampleRatio: number): Tracer {
  const current = new AsyncLocalStorage<Current>();
  return {
    request(traceparent) {
      const parent = parseTraceParent(traceparent);
      // A caller can leave its requests out, but not put more into the sample than there ought to be.
      if (parent?.isSampled === false || Math.random() >= sampleRatio) return undefined;
      const offsetMs = Date.now() - performance.now();
      const span: Current = { offsetMs, traceId: parent?.traceId ?? newId(16), spanId: newId(8), children: 0 };
      const startMs = timeIn(span);
      return {
        traceId: span.traceId,
        run: (work) => current.run(span, work),
        end({ name, attributes, isError }) {
          const { traceId, spanId } = span;
          const parentSpanId = parent?.spanId;
          exporter.add({
            traceId,
            spanId,
            parentSpanId,
            name,
            kind: "server",
            startMs,
            endMs: timeIn(span),
            attributes,
            isError,
          });
        },
      };
    },
    done(name, seconds, attributes = {}) {
      const parent = current.getStore();
      if (parent === undefined || parent.children >= mostChildren) return;
      parent.children++;
      const endMs = timeIn(parent);
      const { traceId, spanId: parentSpanId } = parent;
      const startMs = endMs - seconds * 1000;
      const kind = "internal";
      exporter.add({ traceId, spanId: newId(8), parentSpanId, name, kind, startMs, endMs, attributes, isError: false });
    },
    stop: (limitMs) => exporter.stop(limitMs),
    counts: () => exporter.counts(),
  };
}

const newId = (bytes: number): string => randomBytes(bytes).toString("hex");
const timeIn = ({ offsetMs }: Current): number => offsetMs + performance.now();
