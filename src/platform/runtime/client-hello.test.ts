import { afterAll, beforeAll, expect, it } from "bun:test";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { connect } from "node:tls";
import { readClientHello } from "./client-hello.ts";

let server: Server;
let port = 0;
beforeAll(async () => {
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  port = typeof address === "object" && address !== null ? address.port : 0;
});
afterAll(() => void server.close());

/** What a real client begins with. */
async function helloOf(servername: string, protocols: readonly string[]): Promise<Buffer> {
  const accepted = Promise.withResolvers<Buffer>();
  server.once("connection", (socket) => {
    socket.once("data", (bytes) => {
      accepted.resolve(Buffer.from(bytes));
      socket.destroy();
    });
  });
  const client = connect({ host: "127.0.0.1", port, servername, ALPNProtocols: [...protocols] });
  client.on("error", () => undefined);
  return accepted.promise;
}

it("tells the name and the protocols that a client wants", async () => {
  expect(readClientHello(await helloOf("Registry.Example.org", ["acme-tls/1"]))).toEqual({
    serverName: "registry.example.org",
    protocols: ["acme-tls/1"],
  });
  expect(readClientHello(await helloOf("a.example", ["h2", "http/1.1"]))).toEqual({
    serverName: "a.example",
    protocols: ["h2", "http/1.1"],
  });
});

it("waits for all of it, wherever it is cut", async () => {
  const whole = await helloOf("a.example", ["h2"]);
  for (let length = 0; length < whole.length; length++)
    expect(readClientHello(whole.subarray(0, length)), `${length} bytes`).toBeUndefined();
});

it("puts together what came in many records", async () => {
  const whole = await helloOf("a.example", ["h2"]);
  const message = whole.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += 7) {
    const part = message.subarray(at, at + 7);
    records.push(Buffer.from([22, 3, 1, 0, part.length]), part);
  }
  expect(readClientHello(Buffer.concat(records))).toEqual({ serverName: "a.example", protocols: ["h2"] });
});

it("takes what is no hello for something else", () => {
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "\u0015\u0003\u0001\u0000\u0002\u0002\u0028", "SSH-2.0-x\r\n"])
    expect(readClientHello(Buffer.from(bytes, "latin1")), bytes).toBe("other");
  expect(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]))).toBe("other");
});

it("reads no further than there is, whatever the lengths say", async () => {
  const whole = await helloOf("a.example", ["h2", "http/1.1"]);
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const changed = Buffer.from(whole);
    for (let count = random(4); count >= 0; count--) changed[random(changed.length)] = random(256);
    // Never an error; what it makes of it is the server's to judge.
    readClientHello(changed);
  }
});
