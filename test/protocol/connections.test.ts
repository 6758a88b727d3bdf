import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { adminBasic } from "./bearer.ts";
import { digestOf, inPieces, mediaTypes, pushBlob, startUpload } from "./content.ts";
import { expectProblem, freshRepository, useRegistry, withQuery } from "./registry-client.ts";

const registry = useRegistry();

describe("Expect: 100-continue", () => {
  test("is continued, and the body taken", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(100_000);
    const target = withQuery(await startUpload(registry, repository), `digest=${digestOf(bytes)}`);
    const headers = { Expect: "100-continue" };
    const answer = await registry.send("PUT", target, { headers, body: bytes, awaitContinue: true });
    expect(answer.status).toBe(201);
    expect(answer.interim).toContain(100);
  });
});

async function* flowing(total: number): AsyncGenerator<Uint8Array> {
  const piece = Buffer.alloc(65_536);
  for (let sent = 0; sent < total; sent += piece.length) {
    await Promise.resolve();
    yield piece;
  }
}

describe("an early refusal while the body still flows reaches the client", () => {
  const size = 32 << 20;
  const rounds = [1, 2, 3, 4, 5];
  // As clients do it: the connection is meant to stay, and the body is of known length or not.
  const calls = () => [
    { keepAlive: true, body: flowing(size) },
    { keepAlive: true, body: flowing(size), headers: { "Content-Length": String(size) } },
  ];

  test("401 on a PATCH without credentials", async () => {
    const location = await startUpload(registry, freshRepository());
    for (const call of rounds.flatMap(calls)) {
      expectProblem(await registry.as(undefined).send("PATCH", location, call), 401, "UNAUTHORIZED");
    }
  });

  test("404 on a PATCH of an unknown session", async () => {
    const repository = freshRepository();
    await startUpload(registry, repository);
    for (const call of rounds.flatMap(calls)) {
      const answer = await registry.send("PATCH", `/v2/${repository}/blobs/uploads/nothing`, call);
      expectProblem(answer, 404, "BLOB_UPLOAD_UNKNOWN");
    }
  });

  test("413 on a manifest", async () => {
    for (const call of rounds.flatMap(calls)) {
      const headers = { ...call.headers, "Content-Type": mediaTypes.index };
      const answer = await registry.send("PUT", `/v2/${freshRepository()}/manifests/v1`, { ...call, headers });
      expect(answer.status).toBe(413);
    }
  });
});

/** Sends raw bytes and gives the status lines of everything that came back until the server closed or was silent. */
function statusLines(host: string, bytes: string | Uint8Array): Promise<readonly string[]> {
  const [hostname = "", port] = host.split(":");
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(bytes));
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const text = Buffer.concat(received).toString("latin1");
      resolve([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status ?? ""));
    };
    let timer = setTimeout(done, 1000);
    socket.on("data", (data: Buffer) => {
      received.push(data);
      clearTimeout(timer);
      timer = setTimeout(done, 300);
    });
    socket.on("close", done);
    socket.on("error", done);
  });
}

const lines = (...all: readonly string[]): string => `${all.join("\r\n")}\r\n\r\n`;

describe("one connection, several requests", () => {
  test("a refused upload's body is never taken for the next request", async () => {
    const { host } = registry.server();
    const smuggled = lines("GET /v2/_catalog HTTP/1.1", `Host: ${host}`, `Authorization: ${adminBasic(registry)}`);
    const refused = lines(
      "PATCH /v2/acme/app/blobs/uploads/x HTTP/1.1",
      `Host: ${host}`,
      `Content-Length: ${String(smuggled.length)}`,
    );
    const ping = lines("GET /v2/ HTTP/1.1", `Host: ${host}`, `Authorization: ${adminBasic(registry)}`);
    const answers = await statusLines(host, `${refused}${smuggled}${ping}`);
    expect([["401"], ["401", "200"]]).toContainEqual([...answers]);
  });

  test("requests on a kept connection are answered one by one", async () => {
    const { host } = registry.server();
    const head = [`Host: ${host}`, `Authorization: ${adminBasic(registry)}`];
    const requests = [
      lines("GET /v2/ HTTP/1.1", ...head),
      lines("HEAD /v2/ HTTP/1.1", ...head),
      lines("GET /v2/acme/nothing/tags/list HTTP/1.1", ...head),
    ];
    expect(await statusLines(host, requests.join(""))).toEqual(["200", "200", "404"]);
  });
});

describe("malformed requests are refused, and the server goes on", () => {
  const cases: Readonly<Record<string, (host: string) => string>> = {
    "both Content-Length and chunked": (host) =>
      `${lines("POST /v2/a/b/blobs/uploads/ HTTP/1.1", `Host: ${host}`, "Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`,
    "two Content-Lengths": (host) =>
      `${lines("POST /v2/a/b/blobs/uploads/ HTTP/1.1", `Host: ${host}`, "Content-Length: 1", "Content-Length: 2")}xx`,
    "a negative Content-Length": (host) =>
      lines("POST /v2/a/b/blobs/uploads/ HTTP/1.1", `Host: ${host}`, "Content-Length: -1"),
    "a bad chunk size": (host) =>
      `${lines("POST /v2/a/b/blobs/uploads/ HTTP/1.1", `Host: ${host}`, "Transfer-Encoding: chunked")}zz\r\n\r\n`,
    "two Hosts": (host) => lines("GET /v2/ HTTP/1.1", `Host: ${host}`, "Host: evil.example"),
    "no Host": () => lines("GET /v2/ HTTP/1.1"),
    "a header of 100 kB": (host) => lines("GET /v2/ HTTP/1.1", `Host: ${host}`, `X-Large: ${"x".repeat(100_000)}`),
    "a path of 100 kB": (host) => lines(`GET /v2/${"a".repeat(100_000)}/tags/list HTTP/1.1`, `Host: ${host}`),
    "no HTTP": () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP\r\n\r\n",
  };
  for (const [name, request] of Object.entries(cases)) {
    test(name, async () => {
      const answers = await statusLines(registry.server().host, request(registry.server().host));
      for (const status of answers) expect(status).toMatch(/^4\d\d$/);
      expect((await registry.send("GET", "/v2/")).status).toBe(200);
    });
  }

  test("a body that ends before its Content-Length leaves nothing behind", async () => {
    const repository = freshRepository();
    const { host } = registry.server();
    const bytes = randomBytes(1000);
    const digest = digestOf(bytes);
    const head = lines(
      `POST /v2/${repository}/blobs/uploads/?digest=${digest} HTTP/1.1`,
      `Host: ${host}`,
      `Authorization: ${adminBasic(registry)}`,
      "Content-Length: 2000",
    );
    await statusLines(host, Buffer.concat([Buffer.from(head), bytes]));
    expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(404);
    await pushBlob(registry, repository, bytes);
  }, 60_000);
});

test("a body in many tiny chunks is the body", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(2000);
  const pieces = Array.from({ length: 400 }, (_, at) => bytes.subarray(at * 5, at * 5 + 5));
  const target = `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`;
  expect((await registry.send("POST", target, { body: inPieces(...pieces) })).status).toBe(201);
});

test("the same Content-Length twice is that length", async () => {
  const repository = freshRepository();
  const { host } = registry.server();
  const bytes = randomBytes(100);
  const head = lines(
    `POST /v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: ${adminBasic(registry)}`,
    "Content-Length: 100",
    "Content-Length: 100",
  );
  expect(await statusLines(host, Buffer.concat([Buffer.from(head), bytes]))).toEqual(["201"]);
});

test("a client that goes away in the middle of its body is no error of the server's", async () => {
  const location = await startUpload(registry, freshRepository());
  const { host, log } = registry.server();
  const head = lines(
    `PATCH ${location} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: ${adminBasic(registry)}`,
    "Content-Length: 2000",
  );
  await statusLines(host, Buffer.concat([Buffer.from(head), randomBytes(1000)]));
  const ended = () => log().find(({ method, path }) => method === "PATCH" && path === location);
  for (let waited = 0; ended() === undefined && waited < 5000; waited += 50) await Bun.sleep(50);
  expect(ended()?.status).toBe(499);
  expect(log().filter((line) => line["level"] === "error" && line.path === location)).toEqual([]);
  expect((await registry.send("GET", location)).header("range")).toBe("0-999");
}, 10_000);
