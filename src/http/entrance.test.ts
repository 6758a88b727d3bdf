import { expect, it } from "bun:test";
import { incoming } from "../../test/support/incoming.ts";
import type { Incoming } from "../platform/runtime/http.ts";
import type { Log } from "../platform/telemetry/log.ts";
import { openMetrics } from "../platform/telemetry/metrics.ts";
import { entrance } from "./entrance.ts";

const request = (headers: Readonly<Record<string, string>>, about: Partial<Incoming> = {}): Incoming =>
  incoming({ headers: new Map(Object.entries(headers)), ...about });

const nothing = (): void => undefined;
const unused = { flush: nothing, flushSync: nothing, drain: async () => undefined };

function listen() {
  const lines: { readonly level: string; readonly event: string; readonly fields: object }[] = [];
  const note =
    (level: string) =>
    (event: string, fields: object | (() => object) = {}) =>
      void lines.push({ level, event, fields: typeof fields === "function" ? fields() : fields });
  const error = (event: string, cause: unknown, fields: object = {}): void =>
    void lines.push({ level: "error", event, fields: { ...fields, cause: String(cause) } });
  const log: Log = { debug: note("debug"), info: note("info"), warn: note("warn"), error, ...unused };
  return { log, lines };
}

const metrics = { request: (): void => undefined };

const challenge = (): string => 'Bearer realm="http://localhost/token"';

const broken = async (): Promise<never> => {
  throw new Error("secret detail");
};

it("names forwarding headers once, however many requests bring them", async () => {
  const { log, lines } = listen();
  const handle = entrance({ log, metrics, trustProxies: (one) => one, tracer: undefined, challenge, sites: [] });
  for (let round = 0; round < 3; round++) await handle(request({ host: "a", "x-forwarded-for": "198.51.100.7" }));
  const warnings = lines.filter(({ level }) => level === "warn");
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.fields).toEqual({ header: "x-forwarded-for", remoteAddress: "192.0.2.1" });
  expect(lines.filter(({ event }) => event === "request")).toHaveLength(3);
});

it("answers a bug with 500 and the request's id, and keeps the rest for the log", async () => {
  const { log, lines } = listen();
  const reply = await entrance({
    log,
    metrics,
    trustProxies: (one) => one,
    tracer: undefined,
    challenge,
    sites: [broken],
  })(request({ host: "a" }));
  expect(reply.status).toBe(500);
  expect(JSON.stringify(reply)).toContain("request-1");
  expect(JSON.stringify(reply)).not.toContain("secret detail");
  expect(JSON.stringify(lines)).toContain("secret detail");
});

it("makes no series of what clients make up, and no line that is too long or obeyed by a terminal", async () => {
  const { log, lines } = listen();
  const measured = openMetrics("1");
  const parts = { challenge, trustProxies: (one: Incoming) => one, tracer: undefined, sites: [async () => undefined] };
  const handle = entrance({ ...parts, log, metrics: measured });
  for (let at = 0; at < 100_000; at++) {
    const headers = { host: "a", "user-agent": `agent-${at}\x9b31m${at === 0 ? "x".repeat(10_000) : ""}` };
    const path = `/v2/name-${at}${at === 0 ? "y".repeat(10_000) : ""}`;
    await handle(request(headers, { method: `BREW${at}`, path }));
  }
  const { text } = await measured.render();
  const series = text.split("\n").filter((line) => line.startsWith("registry_http_requests_total{"));
  expect(series).toEqual(['registry_http_requests_total{code="404",handler="none",method="other"} 100000']);
  expect(text).not.toMatch(/name-|agent-|BREW/);
  const first = JSON.stringify(lines[0]);
  expect(first.length).toBeLessThan(1500);
  expect(first).toContain("agent-0?31m");
});

it("knows no path that no site knows", async () => {
  const { log } = listen();
  const reply = await entrance({
    log,
    metrics,
    trustProxies: (one) => one,
    tracer: undefined,
    challenge,
    sites: [async () => undefined],
  })(request({ host: "a" }));
  expect(reply).toMatchObject({ status: 404, body: { errors: [{ code: "UNSUPPORTED" }] } });
});
