import { afterAll, beforeAll, describe, expect, it, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { encodeSpans } from "../../src/platform/telemetry/tracing/otlp.ts";
import type { Span } from "../../src/platform/telemetry/tracing/span.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { buildDecoder, decode, type Decoded, decoderMissing, type DecodedSpan } from "./decode.ts";

interface Received {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** A collector that takes everything. */
function collect() {
  const received: Received[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = new Uint8Array(await request.arrayBuffer());
      received.push({ path: new URL(request.url).pathname, headers: request.headers, body });
      return new Response();
    },
  });
  return { received, url: `http://127.0.0.1:${String(server.port)}`, stop: () => server.stop(true) };
}

const ask = (server: TestServer, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> => {
  const { username, password } = server.admin;
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  return fetch(new URL(path, server.url), { headers: { authorization, ...headers } });
};

requirement("what a collector is sent", decoderMissing, () => {
  let program = "";
  beforeAll(async () => {
    program = await buildDecoder();
  }, 300_000);

  it("is what the specification's own types read", async () => {
    const spans: readonly Span[] = [
      {
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        spanId: "00f067aa0ba902b7",
        parentSpanId: "00f067aa0ba902b8",
        name: "GET größe 🐳",
        kind: "server",
        startMs: 1_790_000_000_123.456,
        endMs: 1_790_000_000_124.5,
        attributes: {
          text: "a\0b\ud800",
          long: "x".repeat(70_000),
          zero: 0,
          whole: 2 ** 53 - 1,
          half: 0.5,
          less: -1,
          yes: true,
          no: false,
          none: undefined,
        },
        isError: true,
      },
      {
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        spanId: "00f067aa0ba902b9",
        parentSpanId: undefined,
        name: "x",
        kind: "internal",
        startMs: 1,
        endMs: 2,
        attributes: {},
        isError: false,
      },
    ];
    const resource = { attributes: { "service.name": "berth" }, scope: { name: "scope", version: "1" } };
    const { spans: decoded, resource: about, scope } = await decode(program, encodeSpans(spans, resource));
    expect([about, scope]).toEqual([{ "service.name": "berth" }, "scope"]);
    expect(decoded[0]).toEqual({
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      spanId: "00f067aa0ba902b7",
      parentSpanId: "00f067aa0ba902b8",
      name: "GET größe 🐳",
      kind: "SPAN_KIND_SERVER",
      startMs: 1_790_000_000_123.456,
      endMs: 1_790_000_000_124.5,
      attributes: {
        text: "a\0b\ufffd",
        long: "x".repeat(70_000),
        zero: 0,
        whole: 2 ** 53 - 1,
        half: 0.5,
        less: -1,
        yes: true,
        no: false,
      },
      isError: true,
    });
    expect(decoded[1]).toMatchObject({ kind: "SPAN_KIND_INTERNAL", parentSpanId: "", isError: false });
  });

  it("is not read where a byte of it is another", async () => {
    const span = { traceId: "", spanId: "", parentSpanId: undefined, name: "n", kind: "server" } as const;
    const whole = { ...span, startMs: 1, endMs: 2, attributes: { a: 1 }, isError: false };
    const bytes = encodeSpans([whole], { attributes: {}, scope: { name: "s", version: "1" } });
    for (const at of [0, 1]) {
      const changed = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 0x18 : byte));
      const [outcome] = await Promise.allSettled([decode(program, changed)]);
      expect(outcome.status).toBe("rejected");
    }
  });

  it("comes from every worker, to the last span", async () => {
    const collector = collect();
    try {
      await using server = await startServer({
        args: ["--workers", "2"],
        env: { BERTH_TRACING_ENDPOINT: collector.url },
      });
      for (let round = 0; round < 40; round++)
        await (await fetch(new URL("/healthz", server.url), { headers: { connection: "close" } })).arrayBuffer();
      expect(await server.stop()).toBe(0);
      const decoded = await Promise.all(collector.received.map(({ body }) => decode(program, body)));
      const ids = decoded.flatMap(({ spans }) => spans.map(({ attributes }) => String(attributes["berth.request_id"])));
      expect(ids.toSorted()).toEqual(
        server
          .requests()
          .map((line) => String(line["requestId"]))
          .toSorted(),
      );
      expect(ids).toHaveLength(40);
    } finally {
      await collector.stop();
    }
  }, 60_000);

  describe("by a server that is asked for things", () => {
    const canary = `canary${randomBytes(16).toString("hex")}`;
    const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const collector = collect();
    let decoded: readonly Decoded[] = [];
    let lines: TestServer["requests"] extends () => infer L ? L : never;
    afterAll(() => collector.stop());
    beforeAll(async () => {
      await using server = await startServer({
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
          OTEL_EXPORTER_OTLP_HEADERS: `x-api-key=${canary}`,
          OTEL_SERVICE_NAME: "registry-of-tests",
          BERTH_LOG_LEVEL: "debug",
        },
      });
      const quiet = { "user-agent": `agent/1 ${"x".repeat(1000)}` };
      const cookies = { cookie: canary, "x-api-key": canary };
      for (const [path, headers] of [
        [`/v2/?password=${canary}`, { traceparent: parent, ...cookies }],
        ["/v2/team/app/manifests/v1", { traceparent: parent.replace(/01$/, "00") }],
        ["/v2/team/app/tags/list", { traceparent: `${parent}-more` }],
        [`/v2/team/app/blobs/sha256:${"0".repeat(64)}`, quiet],
      ] as const)
        await (await ask(server, path, headers)).arrayBuffer();
      const push = await fetch(new URL("/v2/team/app/blobs/uploads/", server.url), {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`admin:${server.admin.password}`)}` },
      });
      const { username, password } = server.admin;
      await fetch(new URL(push.headers.get("location") ?? "", server.url), {
        method: "PATCH",
        body: canary,
        headers: { authorization: `Basic ${btoa(`${username}:${password}`)}` },
      });
      expect(await server.stop()).toBe(0);
      lines = server.requests();
      expect(JSON.stringify(server.log())).not.toContain(canary);
      decoded = await Promise.all(collector.received.map(({ body }) => decode(program, body)));
    }, 120_000);

    const spans = (): readonly DecodedSpan[] => decoded.flatMap((one) => one.spans);
    const lineOf = (path: string, method = "GET") => lines.find((line) => line.path === path && line.method === method);
    const spanOf = (path: string) => spans().find(({ attributes }) => attributes["url.path"] === path);

    test("comes where it is told to, with the collector's key", () => {
      expect(collector.received.length).toBeGreaterThan(0);
      for (const { path, headers } of collector.received) {
        expect(path).toBe("/v1/traces");
        expect(headers.get("content-type")).toBe("application/x-protobuf");
        expect(headers.get("x-api-key")).toBe(canary);
      }
      for (const { resource } of decoded) expect(resource["service.name"]).toBe("registry-of-tests");
    });

    test("has a span for each request but those whose caller does not want one, all sent before the end", () => {
      const requests = spans().filter(({ kind }) => kind === "SPAN_KIND_SERVER");
      expect(requests).toHaveLength(lines.length - 1);
      expect(spanOf("/v2/team/app/manifests/v1")).toBeUndefined();
      expect(lineOf("/v2/team/app/manifests/v1")?.["traceId"]).toBeUndefined();
    });

    test("goes on with the trace of a caller whose header is well-formed, and of no other", () => {
      expect(spanOf("/v2/")).toMatchObject({
        name: "GET base",
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        parentSpanId: "00f067aa0ba902b7",
        isError: false,
      });
      expect(spanOf("/v2/team/app/tags/list")?.traceId).not.toBe("4bf92f3577b34da6a3ce929d0e0e4736");
      expect(spanOf("/v2/team/app/tags/list")?.parentSpanId).toBe("");
    });

    test("says of a request what the log says, under the id that the log has", () => {
      const path = `/v2/team/app/blobs/sha256:${"0".repeat(64)}`;
      const line = lineOf(path);
      const span = spanOf(path);
      expect(span?.traceId).toBe(String(line?.["traceId"]));
      expect(span?.attributes).toEqual({
        "http.request.method": "GET",
        "http.route": "blob",
        "http.response.status_code": 404,
        "url.scheme": "http",
        "url.path": path,
        "client.address": "127.0.0.1",
        "user_agent.original": line?.userAgent ?? "",
        "user.name": "admin",
        "berth.request_id": String(line?.["requestId"]),
      });
      expect(line?.userAgent?.length).toBeLessThan(300);
      expect((span?.endMs ?? 0) - (span?.startMs ?? 0)).toBeGreaterThan(0);
    });

    test("has what the database and the store did below it", () => {
      const patch = spans().find(({ name }) => name === "PATCH upload");
      const below = spans().filter(({ parentSpanId }) => parentSpanId === patch?.spanId);
      const names = new Set(below.map(({ name }) => name));
      for (const name of ["database read", "database write", "blobs append"]) expect(names).toContain(name);
      for (const { traceId, startMs, endMs } of below) {
        expect(traceId).toBe(patch?.traceId ?? "");
        expect(startMs).toBeGreaterThanOrEqual((patch?.startMs ?? 0) - 1);
        expect(endMs).toBeLessThanOrEqual((patch?.endMs ?? 0) + 1);
      }
      const [database] = below.filter(({ name }) => name === "database write");
      expect(database?.attributes).toEqual({ "db.system.name": "sqlite" });
    });

    test("has nothing of what is secret", () => {
      expect(JSON.stringify(decoded)).not.toContain(canary);
      for (const { body } of collector.received) expect(Buffer.from(body).toString("latin1")).not.toContain(canary);
    });
  });
});

describe("a collector that", () => {
  type Behaviour = (socket: { write(text: string): number; end(): void }) => void;
  const behaviours: Readonly<Record<string, Behaviour | undefined>> = {
    "is not there": undefined,
    "takes the connection and says nothing": () => undefined,
    "answers with rubbish": (socket) => void socket.write("\0\x01rubbish\r\n\r\n".repeat(100)),
    "answers without an end": (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      for (let piece = 0; piece < 50; piece++) socket.write("x".repeat(100_000));
    },
    "redirects to the server itself": (socket) => {
      socket.write("HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
      socket.end();
    },
    refuses: (socket) => {
      socket.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\ncanary");
      socket.end();
    },
  };

  for (const [what, behave] of Object.entries(behaviours)) {
    test(`${what} stops no request, is told once in the log, and does not hold up the end`, async () => {
      const listener = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: {
          data(socket) {
            behave?.(socket);
          },
          error: () => undefined,
        },
      });
      const { port } = listener;
      if (behave === undefined) listener.stop(true);
      const env = {
        BERTH_TRACING_ENDPOINT: `http://127.0.0.1:${String(port)}`,
        BERTH_TRACING_TIMEOUT_SECONDS: "1",
        BERTH_SHUTDOWN_DRAIN_SECONDS: "2",
      };
      await using server = await startServer({ env });
      try {
        for (let round = 0; round < 100; round++) {
          const answers = await Promise.all([1, 2, 3, 4].map(() => ask(server, "/v2/")));
          for (const answer of answers) expect(answer.status).toBe(200);
        }
        const told = () => server.log().filter(({ event }) => event === "traces not sent");
        // Its status is all that is waited for.
        const isFine = what === "answers without an end";
        const deadline = isFine ? 0 : Date.now() + 20_000;
        while (told().length === 0 && Date.now() < deadline) await Bun.sleep(20);
        const started = performance.now();
        expect(await server.stop()).toBe(0);
        // Two seconds for requests, then as long as the collector may take; the rest is the machine's.
        expect(performance.now() - started).toBeLessThan(20_000);
        expect(told()).toHaveLength(isFine ? 0 : 1);
        expect(JSON.stringify(server.log())).not.toMatch(/canary|rubbish|169\.254/);
        expect(server.log().at(-1)?.event).toBe("stopped");
      } finally {
        listener.stop(true);
      }
    }, 60_000);
  }
});
