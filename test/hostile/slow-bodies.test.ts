import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { adminBasic } from "../protocol/bearer.ts";
import { digestOf, mediaTypes, startUpload } from "../protocol/content.ts";
import { freshRepository, useRegistry, withQuery } from "../protocol/registry-client.ts";
import { drip, talk } from "./wire.ts";

const stallSeconds = 5;
const minBytesPerSecond = 1000;
/** The least that can be set; Bun's clock goes in steps of 4 seconds. */
const idleSeconds = 8;
const registry = useRegistry({
  env: {
    BERTH_HTTP_STALL_SECONDS: String(stallSeconds),
    BERTH_HTTP_MIN_BYTES_PER_SECOND: String(minBytesPerSecond),
    BERTH_HTTP_IDLE_SECONDS: String(idleSeconds),
  },
});
const host = (): string => registry.server().host;
const limitMs = 60_000;
/** Clocks of two processes do not round alike. */
const almost = 0.95;

const head = (requestLine: string, ...headers: readonly string[]): string =>
  `${[`${requestLine} HTTP/1.1`, `Host: ${host()}`, `Authorization: ${adminBasic(registry)}`, ...headers].join("\r\n")}\r\n\r\n`;

function expectTooSlow(text: string): void {
  expect(text).toStartWith("HTTP/1.1 408 ");
  expect(text.toLowerCase()).toContain("content-type: application/json");
  const { errors } = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as { errors: readonly { code: string }[] };
  expect(errors.map(({ code }) => code)).toEqual(["SIZE_INVALID"]);
}

describe("a body that stands still is answered 408, and its connection closed", () => {
  const bytes = randomBytes(300_000);
  const sent = 100_000;
  const length = `Content-Length: ${String(bytes.length)}`;
  const cases: Readonly<Record<string, (location: string) => readonly [string, string]>> = {
    "of a PATCH": (location) => [head(`PATCH ${location}`, length), ""],
    "of a PATCH in chunks": (location) => [
      head(`PATCH ${location}`, "Transfer-Encoding: chunked"),
      `${sent.toString(16)}\r\n`,
    ],
    "of the PUT that ends it": (location) => [
      head(`PUT ${withQuery(location, `digest=${digestOf(bytes)}`)}`, length),
      "",
    ],
  };
  for (const [name, of] of Object.entries(cases)) {
    test.concurrent(
      `${name}: the upload goes on where it stands`,
      async () => {
        const repository = freshRepository();
        const location = await startUpload(registry, repository);
        const [first, framing] = of(location);
        const connection = await talk(host(), first + framing);
        connection.socket.write(bytes.subarray(0, sent));
        expect(await connection.closed).toBeGreaterThan(stallSeconds * 1000 * almost);
        expectTooSlow(connection.text());
        const stands = await registry.send("GET", location);
        expect(stands.header("range")).toBe(`0-${String(sent - 1)}`);
        const headers = { "Content-Range": `${String(sent)}-${String(bytes.length - 1)}` };
        const rest = await registry.send("PATCH", location, { headers, body: bytes.subarray(sent) });
        expect(rest.status).toBe(202);
        const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), { body: "" });
        expect(put.status).toBe(201);
      },
      limitMs,
    );
  }

  const others: Readonly<Record<string, () => string>> = {
    "of a manifest": () =>
      head(
        `PUT /v2/${freshRepository()}/manifests/v1`,
        `Content-Type: ${mediaTypes.index}`,
        "Content-Length: 1000",
      ).concat("{"),
    "of a request for a token": () =>
      head("POST /token", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 1000").concat("grant"),
    "of a chunk that never gets its size": () =>
      head(`PUT /v2/${freshRepository()}/manifests/v1`, "Transfer-Encoding: chunked").concat("0000"),
  };
  for (const [name, request] of Object.entries(others)) {
    test.concurrent(
      name,
      async () => {
        const connection = await talk(host(), request());
        await connection.closed;
        expectTooSlow(connection.text());
      },
      limitMs,
    );
  }

  test.concurrent(
    "one that drips more slowly than it may is the same",
    async () => {
      const location = await startUpload(registry, freshRepository());
      const connection = await talk(host(), head(`PATCH ${location}`, length));
      drip(connection, "x".repeat(minBytesPerSecond / 100), 100);
      await connection.closed;
      expectTooSlow(connection.text());
      const [, last] = /^0-(\d+)$/.exec((await registry.send("GET", location)).header("range") ?? "") ?? [];
      expect(Number(last)).toBeGreaterThan(0);
    },
    limitMs,
  );
});

describe("a body at the least rate that may be", () => {
  /** Longer than a body may stand still, and than any connection may be idle. */
  const seconds = 14;
  const framings: Readonly<Record<string, { readonly header: string; frame(piece: Buffer): Buffer; end: string }>> = {
    "of known length": { header: `Content-Length: ${minBytesPerSecond * seconds}`, frame: (piece) => piece, end: "" },
    "in chunks": {
      header: "Transfer-Encoding: chunked",
      frame: (piece) => Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]),
      end: "0\r\n\r\n",
    },
  };
  for (const [name, { header, frame, end }] of Object.entries(framings)) {
    test.concurrent(
      `${name} is taken, and its connection is one like others afterwards`,
      async () => {
        const repository = freshRepository();
        const bytes = randomBytes(minBytesPerSecond * seconds);
        const target = withQuery(await startUpload(registry, repository), `digest=${digestOf(bytes)}`);
        const connection = await talk(host(), head(`PUT ${target}`, header));
        const started = performance.now();
        for (let sent = 0; sent < bytes.length && !connection.isClosed(); await Bun.sleep(500)) {
          // By the clock, so that a test that was held up makes good for it.
          const due = Math.floor(((performance.now() - started) / 1000) * minBytesPerSecond);
          if (due > sent) connection.socket.write(frame(bytes.subarray(sent, due)));
          sent = Math.max(sent, Math.min(due, bytes.length));
        }
        connection.socket.write(end);
        const untilMs = performance.now() + 20_000;
        while (!connection.text().includes("\r\n\r\n") && performance.now() < untilMs) await Bun.sleep(50);
        expect(connection.text()).toStartWith("HTTP/1.1 201 ");
        const answeredMs = performance.now() - started;
        // The answer has ended what was special about the connection: it is closed for being idle.
        expect((await connection.closed) - answeredMs).toBeGreaterThan((idleSeconds - 4) * 1000 * almost);
        expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digestOf(bytes)}`)).status).toBe(200);
      },
      limitMs,
    );
  }
});

test.concurrent(
  "a body that nobody wants any more is not taken for ever, however fast it comes",
  async () => {
    const target = `/v2/${freshRepository()}/blobs/uploads/none`;
    const connection = await talk(
      host(),
      `PATCH ${target} HTTP/1.1\r\nHost: ${host()}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    drip(connection, `10000\r\n${"x".repeat(65_536)}\r\n`, 20);
    const closedMs = await connection.closed;
    expect(connection.text()).toStartWith("HTTP/1.1 401 ");
    expect(connection.text()).toContain('{"errors":[{"code":"UNAUTHORIZED"');
    // The client has had the time to read that, and the server has an end.
    expect(closedMs).toBeGreaterThan((stallSeconds - 4) * 1000 * almost);
    expect(closedMs).toBeLessThan(40_000);
  },
  limitMs,
);

describe("headers that do not come to an end are not waited for", () => {
  const cases: Readonly<Record<string, { readonly first: () => string; readonly piece?: string }>> = {
    "nothing at all": { first: () => "" },
    "half a request line": { first: () => "GET /v2" },
    "half a header": { first: () => "GET /v2/ HTTP/1.1\r\nHost: slow.exa" },
    "all but the last line": { first: () => head("GET /v2/").slice(0, -2) },
    "a letter now and then": { first: () => "GET /v2/ HTTP/1.1\r\nX-Slow: ", piece: "x" },
    "a header now and then": { first: () => "GET /v2/ HTTP/1.1\r\n", piece: "X-Slow: x\r\n" },
    "behind a request that was answered, a letter now and then": {
      first: () => `${head("GET /v2/")}GET /v2/ HTTP/1.1\r\nX-Slow: `,
      piece: "x",
    },
  };
  for (const [name, { first, piece }] of Object.entries(cases)) {
    test.concurrent(
      name,
      async () => {
        const connection = await talk(host(), first());
        if (piece !== undefined) drip(connection, piece, 500);
        const closedMs = await connection.closed;
        expect(closedMs).toBeGreaterThan((idleSeconds - 4) * 1000 * almost);
        // Far from how long the test itself may take: it is the server that ends it.
        expect(closedMs).toBeLessThan(40_000);
        expect(connection.text().replace(/^HTTP\/1\.1 200 [^]*?\{\}/, "")).toBe("");
      },
      limitMs,
    );
  }
});

test("what was too slow is in the metrics and in the log", async () => {
  const { url, logged, requests } = registry.server();
  await logged();
  expect(requests().filter(({ status }) => status === 408).length).toBeGreaterThanOrEqual(7);
  const metrics = await (await fetch(new URL("/metrics", url))).text();
  expect(metrics).toMatch(/registry_http_requests_total\{code="408",handler="upload",method="PATCH"\} [3-9]/);
});
