import { afterAll, describe, expect, it, test } from "bun:test";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { Address, Resolve } from "./find-address.ts";
import { guardedFetch } from "./guarded-fetch.ts";
import { OutboundError, type OutboundFault, type OutboundPolicy } from "./outbound.ts";

const used: Server[] = [];
const sockets = new Set<Socket>();
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of used) server.close();
});

interface Listener {
  readonly port: number;
  /** Heads of the requests that came, one a connection. */
  readonly heads: string[];
}

/** Speaks whatever it is told to, once a whole head has come. */
async function listen(speak: (socket: Socket, head: string) => void): Promise<Listener> {
  const heads: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    let text = "";
    socket.on("data", (data) => {
      const before = text.includes("\r\n\r\n");
      text += data.toString("latin1");
      if (before || !text.includes("\r\n\r\n")) return;
      heads.push(text);
      speak(socket, text);
    });
  });
  used.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return { heads, port: (server.address() as AddressInfo).port };
}

const answer =
  (head: string, body: string | Uint8Array = "") =>
  (socket: Socket): void => {
    socket.write(`HTTP/1.1 ${head}\r\n\r\n`);
    socket.end(body);
  };
const ok = answer("200 OK\r\nContent-Length: 2\r\nX-One: 1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d", "hi");

/** Names lead to the loopback, where the servers of this test are. */
const toLoopback: Resolve = async () => [{ address: "127.0.0.1", family: 4 }];
const hangs: Resolve = () => new Promise(() => undefined);
const lenient: OutboundPolicy = { maxBodyBytes: 10_000, allow: ["127.0.0.0/8"], resolve: toLoopback, wholeMs: 20_000 };

/** What comes of a request: the body's text, or the fault. */
async function outcome(url: string, policy: Partial<OutboundPolicy> = {}): Promise<string> {
  try {
    const reply = await guardedFetch({ ...lenient, ...policy })({ url });
    return `${reply.status} ${Buffer.from(await reply.bytes()).toString()}`;
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    return error.fault;
  }
}

test("an answer has its status, its headers and its body", async () => {
  const server = await listen(ok);
  const reply = await guardedFetch(lenient)({
    url: `http://registry.test:${server.port}/a?b=c`,
    headers: { "X-Two": "2" },
  });
  expect([reply.status, Buffer.from(await reply.bytes()).toString()]).toEqual([200, "hi"]);
  expect([reply.headers.get("x-one"), reply.headers.get("set-cookie")]).toEqual(["1", "a=b, c=d"]);
  const [head = ""] = server.heads;
  expect(head).toStartWith("GET /a?b=c HTTP/1.1\r\n");
  expect(head.toLowerCase()).toContain(`host: registry.test:${server.port}\r\n`);
  expect(head.toLowerCase()).toContain("x-two: 2\r\n");
  expect(head.toLowerCase()).toContain("accept-encoding: identity\r\n");
});

test("a body is sent with its length", async () => {
  const server = await listen(ok);
  const send = guardedFetch(lenient);
  await (await send({ url: `http://a.test:${server.port}/`, method: "POST", body: "grüße" })).bytes();
  expect(server.heads[0]?.toLowerCase()).toContain("content-length: 7\r\n");
});

describe("what is not on the internet is not asked:", () => {
  const strict = { allow: [] };
  it.each(["127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "0", "localhost", "localhost."])(
    "%s",
    async (host) => {
      const server = await listen(ok);
      expect(await outcome(`http://${host}:${server.port}/`, strict)).toBe("address");
      expect(server.heads).toEqual([]);
    },
  );
  it.each([
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "169.254.169.254",
    "100.64.0.1",
    "10.0.0.1",
  ])("%s", async (host) => expect(await outcome(`http://${host}/`, strict)).toBe("address"));
  it.each(["10.0.0.7", "100.64.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"])(
    "a name that is at %s",
    async (address) => {
      const resolve: Resolve = async () => [{ address, family: address.includes(":") ? 6 : 4 }];
      expect(await outcome("http://api.default.svc.cluster.local/", { ...strict, resolve })).toBe("address");
    },
  );

  it("a name that the system's own resolver leads to the loopback", async () => {
    const server = await listen(ok);
    const policy = { maxBodyBytes: 10, wholeMs: 20_000 };
    const asked = guardedFetch(policy)({ url: `http://localhost:${server.port}/` });
    expect(await asked.catch((error: OutboundError) => error.fault)).toBe("address");
    expect(server.heads).toEqual([]);
  });
});

const toOneOfTwo: Resolve = async (name) => [{ address: name === "other.test" ? "127.0.0.2" : "127.0.0.1", family: 4 }];

describe("what the policy allows is asked", () => {
  it.each([
    ["a host by its name, in any spelling", ["Collector.Test."], "collector.test"],
    ["a host by its address", ["127.0.0.1"], "127.0.0.1"],
    ["a network", ["127.0.0.0/24"], "collector.test"],
  ])("%s", async (_what, allow, host) => {
    const server = await listen(ok);
    expect(await outcome(`http://${host}:${server.port}/`, { allow, resolve: toOneOfTwo })).toBe("200 hi");
  });
  it("an IPv6 address as a URL has it", async () => {
    const server = createServer((socket) => ok(socket.on("error", () => undefined)));
    used.push(server.listen(0, "::1"));
    await new Promise((listening) => {
      server.once("listening", listening);
    });
    const { port } = server.address() as AddressInfo;
    expect(await outcome(`http://[::1]:${port}/`, { allow: ["[::1]"] })).toBe("200 hi");
  });
  it("and nothing else", async () => {
    const allow = ["collector.test", "127.0.0.1"];
    expect(await outcome("http://other.test/", { allow, resolve: toOneOfTwo })).toBe("address");
    expect(await outcome("http://x.collector.test/", { allow: ["collector.test"], resolve: toOneOfTwo })).toBe(
      "address",
    );
  });
});

describe("a name that changes its mind", () => {
  const first = { address: "127.0.0.1", family: 4 } as const;

  it("is looked up once a hop: the connection goes to the address that was looked at", async () => {
    const server = await listen(ok);
    let asked = 0;
    // A second look would find the address of a cloud's metadata.
    const resolve: Resolve = async () => (asked++ === 0 ? [first] : [{ address: "169.254.169.254", family: 4 }]);
    expect(await outcome(`http://rebinding.test:${server.port}/`, { resolve })).toBe("200 hi");
    expect(asked).toBe(1);
  });

  it("is refused when it leads inwards at the next redirect", async () => {
    const inner = await listen(ok);
    const outer = await listen((socket) =>
      answer(`302 Found\r\nLocation: http://rebinding.test:${outer.port}/again`)(socket),
    );
    let asked = 0;
    const resolve: Resolve = async () => (asked++ === 0 ? [first] : [{ address: "127.0.0.9", family: 4 }]);
    expect(await outcome(`http://rebinding.test:${outer.port}/`, { resolve, redirects: 3, allow: ["127.0.0.1"] })).toBe(
      "address",
    );
    expect([outer.heads.length, inner.heads.length, asked]).toEqual([1, 0, 2]);
  });

  it("is asked at those of its addresses that are allowed, and at no other", async () => {
    const server = await listen(ok);
    const both: readonly Address[] = [{ address: "127.0.0.9", family: 4 }, first];
    expect(await outcome(`http://a.test:${server.port}/`, { resolve: async () => both, allow: ["127.0.0.1"] })).toBe(
      "200 hi",
    );
  });

  it("is asked at its next address where the first takes no connection", async () => {
    const server = await listen(ok);
    const both: readonly Address[] = [{ address: "127.0.0.9", family: 4 }, first];
    expect(await outcome(`http://a.test:${server.port}/`, { resolve: async () => both })).toBe("200 hi");
  });
});

describe("never asked:", () => {
  it.each([
    ["gopher://127.0.0.1:70/_x", "request"],
    ["file:///etc/passwd", "request"],
    ["ftp://a.test/", "request"],
    ["data:text/plain,hi", "request"],
    ["unix:/run/docker.sock", "request"],
    ["http://user:secret@a.test/", "request"],
    ["//a.test/", "request"],
    ["", "request"],
    ["http://", "request"],
    [`http://${"a".repeat(254)}/`, "request"],
    [`http://a.test/${"a".repeat(9000)}`, "request"],
  ])("%.40s", async (url, fault) => expect(await outcome(url)).toBe(fault));

  it("a header with a line of its own", async () => {
    const server = await listen(ok);
    const headers = { "x-a": "b\r\nx-evil: 1" };
    const asked = guardedFetch(lenient)({ url: `http://a.test:${server.port}/`, headers });
    expect(await asked.catch((error: OutboundError) => error.fault)).toBe("request");
    expect(server.heads).toEqual([]);
  });

  it("what a caller's header would make a second request of", async () => {
    const server = await listen(ok);
    const headers = { Host: "evil.test", "Transfer-Encoding": "chunked", "content-length": "99", Upgrade: "h2c" };
    await (await guardedFetch(lenient)({ url: `http://a.test:${server.port}/`, headers })).bytes();
    expect(server.heads[0]).not.toMatch(/evil|chunked|length: 99\r|h2c/i);
  });
});

const to = (location: string, status = 302) => answer(`${status} Moved\r\nLocation: ${location}\r\nContent-Length: 0`);

describe("a redirect", () => {
  const secrets = { authorization: "Bearer canary", Cookie: "a=canary", "X-Api-Key": "canary", "User-Agent": "berth" };

  it("is an answer where none is followed", async () => {
    const server = await listen(to("http://a.test/"));
    expect(await outcome(`http://a.test:${server.port}/`)).toBe("302 ");
  });

  it.each(["http://169.254.169.254/", "http://127.0.0.9/", "http://[::ffff:127.0.0.9]/", "//127.0.0.9/"])(
    "to %s is not followed",
    async (location) => {
      const server = await listen(to(location));
      const allow = ["127.0.0.1"];
      expect(await outcome(`http://a.test:${server.port}/`, { allow, redirects: 3 })).toBe("address");
    },
  );

  it.each(["gopher://a.test/", "file:///etc/passwd", "http://u:p@a.test/", "javascript:1"])(
    "to %s is not followed",
    async (location) => {
      const server = await listen(to(location));
      expect(await outcome(`http://a.test:${server.port}/`, { redirects: 3 })).toBe("request");
    },
  );

  it("is followed so often and no more", async () => {
    const server: Listener = await listen((socket) => to("/again")(socket));
    expect(await outcome(`http://a.test:${server.port}/`, { redirects: 3 })).toBe("redirect");
    expect(server.heads).toHaveLength(4);
  });

  it("takes what proves who asks along on the same origin", async () => {
    const server: Listener = await listen((socket, head) =>
      head.startsWith("GET /b") ? ok(socket) : to("/b")(socket),
    );
    const reply = await guardedFetch({ ...lenient, redirects: 1 })({
      url: `http://a.test:${server.port}/`,
      headers: secrets,
    });
    expect(Buffer.from(await reply.bytes()).toString()).toBe("hi");
    expect(reply.url).toBe(`http://a.test:${server.port}/b`);
    expect(server.heads[1]).toContain("canary");
  });

  it.each(["another port", "another host"])("takes nothing of it along to %s", async (where) => {
    const other = await listen(ok);
    const server: Listener = await listen((socket, head) => {
      if (head.startsWith("GET /b")) return ok(socket);
      return to(where === "another port" ? `http://a.test:${other.port}/b` : `http://b.test:${server.port}/b`)(socket);
    });
    const send = guardedFetch({ ...lenient, redirects: 1 });
    await (await send({ url: `http://a.test:${server.port}/`, headers: secrets })).bytes();
    const second = where === "another port" ? other.heads[0] : server.heads[1];
    expect(second).toContain("berth");
    expect(second).not.toContain("canary");
  });

  it("of a body goes nowhere else, and as a GET without it after 303", async () => {
    const other = await listen(ok);
    for (const [status, fault] of [
      [307, "redirect"],
      [308, "redirect"],
      [303, undefined],
      [302, undefined],
    ] as const) {
      const server = await listen(to(`http://b.test:${other.port}/`, status));
      const asked = guardedFetch({ ...lenient, redirects: 1 })({
        url: `http://a.test:${server.port}/`,
        method: "POST",
        body: "secret",
        headers: { "content-type": "text/plain" },
      });
      const found = await asked
        .then((reply) => reply.bytes())
        .then(
          () => undefined,
          (error: OutboundError) => error.fault,
        );
      expect([status, found]).toEqual([status, fault]);
    }
    for (const head of other.heads) {
      expect(head).toStartWith("GET / ");
      expect(head).not.toMatch(/content-|secret/i);
    }
    expect(other.heads).toHaveLength(2);
  });
});

describe("a hostile answer", () => {
  const faults: Readonly<Record<string, readonly [OutboundFault, (socket: Socket) => void]>> = {
    "of a length that is too large": ["too-large", answer("200 OK\r\nContent-Length: 10001", "x".repeat(10_001))],
    "without an end": ["too-large", (socket) => flood(socket, ["HTTP/1.1 200 OK\r\n\r\n", "x".repeat(5000)])],
    "of chunks without an end": [
      "too-large",
      (socket) =>
        flood(socket, ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `3e8\r\n${"x".repeat(1000)}\r\n`]),
    ],
    "of headers without an end": [
      "answer",
      (socket) => flood(socket, ["HTTP/1.1 200 OK\r\n", `a: ${"x".repeat(1000)}\r\n`]),
    ],
    "with a header of 1 MB": ["answer", answer(`200 OK\r\na: ${"x".repeat(1_000_000)}\r\nContent-Length: 0`)],
    "that is packed": [
      "answer",
      answer("200 OK\r\nContent-Encoding: gzip", gzipSync(Buffer.alloc(50_000_000), { level: 9 })),
    ],
    "that ends before its length": ["answer", answer("200 OK\r\nContent-Length: 100", "x")],
    "that ends inside a chunk": ["answer", answer("200 OK\r\nTransfer-Encoding: chunked", "a\r\nx")],
    "with two lengths": ["answer", answer("200 OK\r\nContent-Length: 1\r\nContent-Length: 2", "xy")],
    "that is no HTTP": ["answer", (socket) => void socket.end("SSH-2.0-OpenSSH_9.2\r\n")],
    "that is nothing": ["answer", (socket) => void socket.end()],
    "that changes the protocol": ["answer", answer("101 Switching\r\nUpgrade: x\r\nConnection: upgrade")],
  };
  for (const [what, [fault, speak]] of Object.entries(faults)) {
    it(
      what,
      async () => {
        const server = await listen(speak);
        expect(await outcome(`http://a.test:${server.port}/`)).toBe(fault);
        await gone();
      },
      30_000,
    );
  }

  it("that says nothing ends in time", async () => {
    const server = await listen(() => undefined);
    expect(await outcome(`http://a.test:${server.port}/`, { wholeMs: 200 })).toBe("timeout");
    await gone();
  });

  it("that drips ends in time, its body too", async () => {
    const server = await listen((socket) =>
      flood(socket, ["HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "x"], 20),
    );
    expect(await outcome(`http://a.test:${server.port}/`, { wholeMs: 500 })).toBe("timeout");
    await gone();
  });

  it("that says 100 again and again ends in time", async () => {
    const server = await listen((socket) => flood(socket, ["", "HTTP/1.1 100 Continue\r\n\r\n"], 20));
    expect(await outcome(`http://a.test:${server.port}/`, { wholeMs: 500 })).toBe("timeout");
    await gone();
  });

  it("is in no message, nor is the path, the query or a header of the request", async () => {
    const server = await listen(answer("200 OK canary\r\nContent-Length: 2\r\nx: canary", "canary"));
    const url = `http://a.test:${server.port}/canary?key=canary`;
    const messages: string[] = [];
    for (const change of [
      { resolve: hangs, connectMs: 10 },
      { allow: [] },
      { maxBodyBytes: 1 },
      { resolve: async () => [] },
    ])
      await guardedFetch({ ...lenient, ...change })({ url, headers: { authorization: "canary" } })
        .then((reply) => reply.bytes())
        .catch((error: Error) => messages.push(`${error.message} ${error.stack ?? ""} ${JSON.stringify(error)}`));
    expect(messages).toHaveLength(4);
    for (const message of messages) expect(message).not.toContain("canary");
  });
});

/** Writes the second text again and again, as fast as the other side takes it, for as long as it does. */
function flood(socket: Socket, [head, piece]: readonly [string, string], everyMs = 0): void {
  socket.write(head);
  const again = (): void => {
    if (socket.destroyed) return;
    if (socket.write(piece)) setTimeout(again, everyMs);
    else socket.once("drain", again);
  };
  again();
}

/** Every connection has been let go of. */
async function gone(): Promise<void> {
  for (const deadline = Date.now() + 10_000; sockets.size > 0 && Date.now() < deadline;) await Bun.sleep(10);
  expect(sockets.size).toBe(0);
}

describe("a request that is given up", () => {
  it("before it begins", async () => {
    const asked = guardedFetch(lenient)({ url: "http://a.test/", signal: AbortSignal.abort() });
    expect(await asked.catch((error: OutboundError) => error.fault)).toBe("aborted");
  });

  it("while it waits for an address, an answer, or a body", async () => {
    const waits: readonly (readonly [Partial<OutboundPolicy>, (socket: Socket) => void])[] = [
      [{ resolve: hangs }, () => undefined],
      [{}, () => undefined],
      [{}, (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx")],
    ];
    for (const [change, speak] of waits) {
      const server = await listen(speak);
      const abort = new AbortController();
      const asked = guardedFetch({ ...lenient, ...change })({
        url: `http://a.test:${server.port}/`,
        signal: abort.signal,
      });
      const ended = asked.then((reply) => reply.bytes()).catch((error: OutboundError) => error.fault);
      await Bun.sleep(50);
      abort.abort();
      expect(await ended).toBe("aborted");
      await gone();
    }
  });

  it("by whoever does not want the body", async () => {
    const server = await listen((socket) => flood(socket, ["HTTP/1.1 200 OK\r\n\r\n", "x".repeat(5000)], 10));
    const reply = await guardedFetch(lenient)({ url: `http://a.test:${server.port}/` });
    reply.cancel();
    await gone();
  });
});

test("a lookup that hangs, and a connection that is not made, end in time", async () => {
  expect(await outcome("http://a.test/", { resolve: hangs, connectMs: 100 })).toBe("timeout");
  const server = await listen(ok);
  expect(await outcome(`http://a.test:${server.port}/`, { resolve: async () => [] })).toBe("name");
  expect(await outcome("http://127.0.0.1:1/")).toBe("connect");
  // TLS that is never answered.
  const silent = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
  used.push(silent.listen(0, "127.0.0.1"));
  await new Promise((resolve) => {
    silent.once("listening", resolve);
  });
  const { port } = silent.address() as AddressInfo;
  expect(await outcome(`https://a.test:${port}/`, { connectMs: 200 })).toBe("connect");
});

test("a proxy of the environment is not asked", async () => {
  const proxy = await listen(ok);
  const server = await listen(ok);
  const program = `import { guardedFetch } from ${JSON.stringify(`${import.meta.dir}/guarded-fetch.ts`)};
    const send = guardedFetch({ maxBodyBytes: 10, allow: ["127.0.0.1"] });
    console.log(Buffer.from(await (await send({ url: "http://127.0.0.1:${server.port}/" })).bytes()).toString());`;
  const url = `http://127.0.0.1:${proxy.port}`;
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  const env = {
    ...process.env,
    ...Object.fromEntries(names.map((name) => [name, url])),
    NODE_USE_ENV_PROXY: "1",
    NO_PROXY: "",
  };
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit", env });
  expect(await new Response(child.stdout).text()).toBe("hi\n");
  expect([proxy.heads.length, server.heads.length]).toEqual([0, 1]);
}, 30_000);
