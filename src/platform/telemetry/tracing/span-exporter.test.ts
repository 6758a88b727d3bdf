import { expect, it } from "bun:test";
import type { GuardedFetch } from "../../net/guarded-fetch.ts";
import { OutboundError, type OutboundReply, type OutboundRequest } from "../../net/outbound.ts";
import type { Span } from "./span.ts";
import { type ExporterSettings, spanExporter } from "./span-exporter.ts";

const settings: ExporterSettings = {
  url: "http://collector.test/v1/traces",
  headers: { "x-key": "k" },
  resource: { attributes: { "service.name": "berth" }, scope: { name: "berth", version: "1" } },
  intervalMs: 5,
  batchSpans: 10,
  mostSpans: 50,
  attempts: 3,
  restMs: 1,
};

const span = (at: number): Span => ({
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: at.toString(16).padStart(16, "0"),
  parentSpanId: undefined,
  name: "GET base",
  kind: "server",
  startMs: 1,
  endMs: 2,
  attributes: { at },
  isError: false,
});

const reply = (status: number): OutboundReply => ({
  status,
  headers: new Map(),
  url: settings.url,
  body: (async function* () {})(),
  bytes: async () => new Uint8Array(),
  cancel: () => undefined,
});

interface Collector {
  readonly requests: OutboundRequest[];
  readonly events: string[];
  readonly send: GuardedFetch;
}

/** Answers with one status or fault after another, the last of them from then on. */
function collector(...answers: readonly (number | OutboundError | Promise<never>)[]): Collector {
  const requests: OutboundRequest[] = [];
  const send: GuardedFetch = async (request) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)] ?? 200;
    requests.push(request);
    if (answer instanceof OutboundError) throw answer;
    if (typeof answer === "number") return reply(answer);
    // Nothing comes until it is given up.
    return new Promise((_, reject) => {
      request.signal?.addEventListener("abort", () => reject(new OutboundError("aborted", "given up")));
    });
  };
  return { requests, events: [], send };
}

const open = ({ send, events }: Collector, change: Partial<ExporterSettings> = {}) => {
  const note = (event: string): void => void events.push(event);
  return spanExporter({ ...settings, ...change }, send, { info: note, warn: note });
};

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !isSo() && Date.now() < deadline;) await Bun.sleep(1);
  expect(isSo()).toBe(true);
}

const hangs = Promise.race<never>([]);

it("sends a full batch at once and the rest when its time has come", async () => {
  const to = collector(200);
  const exporter = open(to, { intervalMs: 50 });
  for (let at = 0; at < 25; at++) exporter.add(span(at));
  await until(() => exporter.counts().sent === 25);
  expect(to.requests.length).toBeGreaterThanOrEqual(3);
  expect(to.requests[0]).toMatchObject({ method: "POST", url: settings.url });
  expect(to.requests[0]?.headers).toEqual({ "x-key": "k", "content-type": "application/x-protobuf" });
  expect(to.events).toEqual([]);
});

it.each([503, 429, new OutboundError("connect", "http://collector.test: ECONNREFUSED")])(
  "tries again after %s, and says once that it failed and once that it goes again",
  async (first) => {
    const to = collector(first, first, 200);
    const exporter = open(to);
    exporter.add(span(1));
    await until(() => exporter.counts().sent === 1);
    expect(to.requests).toHaveLength(3);
    expect(to.events).toEqual(["traces not sent", "traces sent again"]);
  },
);

it("gives a batch up that is not taken", async () => {
  const to = collector(503);
  const exporter = open(to);
  exporter.add(span(1));
  await until(() => exporter.counts().dropped === 1);
  expect(to.requests).toHaveLength(3);
  expect(to.events).toEqual(["traces not sent"]);
});

it.each([302, 400, 401, 404, 500])("does not try again after %d", async (status) => {
  const to = collector(status);
  const exporter = open(to);
  exporter.add(span(1));
  await until(() => exporter.counts().dropped === 1);
  expect(to.requests).toHaveLength(1);
});

it("keeps no more than it may while a collector hangs, and counts what it forgets", async () => {
  const to = collector(hangs);
  const exporter = open(to);
  const started = performance.now();
  for (let at = 0; at < 100_000; at++) exporter.add(span(at));
  // Nobody who adds one waits for anything.
  expect(performance.now() - started).toBeLessThan(5000);
  expect(exporter.counts()).toEqual({ sent: 0, dropped: 100_000 - settings.mostSpans });
  await exporter.stop(50);
  expect(exporter.counts()).toEqual({ sent: 0, dropped: 100_000 });
  exporter.add(span(1));
  expect(exporter.counts().dropped).toBe(100_001);
});

it("sends what has gathered when it is stopped, what is on its way too", async () => {
  const to = collector(hangs, 200);
  const exporter = open(to, { intervalMs: 60_000 });
  for (let at = 0; at < 15; at++) exporter.add(span(at));
  await until(() => to.requests.length === 1);
  await exporter.stop(10_000);
  expect(exporter.counts()).toEqual({ sent: 15, dropped: 0 });
});
