import { afterEach, expect, it } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { connect as connectPlain, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { selfSignedCertificate } from "../certificates/self-signed-certificate.ts";
import { type CertificateFront, openCertificateFront } from "./certificate-front.ts";

const dayMs = 86_400_000;
const made = (name: string) =>
  selfSignedCertificate({ hosts: [name], from: new Date(Date.now() - dayMs), until: new Date(Date.now() + dayMs) });
const [own, ann, bob] = [made("localhost"), made("ann"), made("bob")];
const certificate = { ...own, expiresAtMs: Date.now() + dayMs };

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

/** A server that tells by which certificate it is asked, and what of. */
function open(limits?: { readonly handshakeMs: number; readonly most: number }) {
  const failures: number[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 20,
    async fetch(request, bun) {
      const peer = front.peerBehind(bun.requestIP(request)?.port ?? 0);
      const given = createHash("sha256").update(await request.bytes());
      const size = Number(new URL(request.url).searchParams.get("size") ?? 0);
      return new Response(Buffer.alloc(size, "x"), {
        headers: { "x-certificate": nameOf(peer?.certificate), "x-given": given.digest("hex") },
      });
    },
  });
  const front: CertificateFront = openCertificateFront({
    hostname: "127.0.0.1",
    port: 0,
    sharesPort: false,
    certificate,
    behindPort: server.port ?? 0,
    stallSeconds: 8,
    onHandshakeFailed: () => failures.push(1),
    ...(limits && { limits }),
  });
  ending.push(
    () => server.stop(true),
    () => front.close(),
    () => front.destroy(),
  );
  return { front, server, failures };
}

const nameOf = (der: Uint8Array | undefined): string => {
  const text = Buffer.from(der ?? []).toString("latin1");
  return ["ann", "bob"].find((name) => text.includes(name)) ?? "none";
};

async function dial({ port }: CertificateFront, shown?: typeof ann): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const key = shown && { cert: shown.certPem, key: shown.keyPem };
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...key }, resolve);
  socket.on("error", reject);
  ending.push(() => socket.destroy());
  await promise;
  return socket;
}

/** The head and the size of the body of an answer with a length. */
function answerOn(socket: Socket): Promise<{ readonly head: string; readonly bytes: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly head: string; readonly bytes: number }>();
  let received = Buffer.alloc(0);
  const read = (data: Buffer): void => {
    received = Buffer.concat([received, data]);
    const end = received.indexOf("\r\n\r\n");
    const head = received.toString("latin1", 0, Math.max(0, end));
    if (end === -1 || received.length < end + 4 + Number(/^content-length: (\d+)/im.exec(head)?.[1])) return;
    socket.off("data", read);
    resolve({ head: head.toLowerCase(), bytes: received.length - end - 4 });
  };
  socket.on("data", read);
  socket.on("close", () => reject(new Error(`closed after ${received.length} bytes`)));
  return promise;
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

it("tells the server whose each connection is, for as long as it lasts, and of others nothing", async () => {
  const { front, server } = open();
  const sockets = [await dial(front, ann), await dial(front, bob), await dial(front)];
  for (let round = 0; round < 3; round++) {
    for (const [at, name] of ["ann", "bob", "none"].entries()) {
      const socket = sockets[at];
      if (socket === undefined) throw new Error("not dialled");
      const answer = answerOn(socket);
      socket.write(get("/"));
      expect((await answer).head).toContain(`x-certificate: ${name}`);
    }
  }
  const past = connectPlain(server.port ?? 0, "127.0.0.1");
  ending.push(() => past.destroy());
  const answer = answerOn(past);
  past.write(get("/"));
  expect((await answer).head).toContain("x-certificate: none");
  expect(front.peerBehind(past.localPort ?? 0)).toBeUndefined();
});

it("passes on what is large in both directions, whole, also to those who read late", async () => {
  const { front } = open();
  const socket = await dial(front, ann);
  const body = randomBytes(20_000_000);
  const answer = answerOn(socket);
  socket.write(`POST /?size=30000000 HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`);
  socket.write(body);
  socket.pause();
  await Bun.sleep(50);
  socket.resume();
  const { head, bytes } = await answer;
  expect(head).toContain(`x-given: ${createHash("sha256").update(body).digest("hex")}`);
  expect(bytes).toBe(30_000_000);
}, 30_000);

it("lets go of a connection with either end of it", async () => {
  const { front, server } = open();
  for (const closes of [false, true]) {
    const socket = await dial(front, ann);
    const answer = answerOn(socket);
    const gone = new Promise((done) => socket.on("close", done));
    socket.write(get("/").replace("\r\n\r\n", closes ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n"));
    await answer.catch(() => undefined);
    if (!closes) socket.destroy();
    await gone;
  }
  const socket = await dial(front, ann);
  socket.write(get("/?size=50000000"));
  await new Promise((done) => socket.once("data", done));
  socket.destroy();
  for (const deadline = Date.now() + 10_000; server.pendingRequests > 0 && Date.now() < deadline;) await Bun.sleep(10);
  expect(server.pendingRequests).toBe(0);
});

it("does not wait for ever for who does not come to speak TLS, nor for many of them", async () => {
  const { front, failures } = open({ handshakeMs: 1500, most: 2 });
  const closed: number[] = [];
  for (const at of [0, 1, 2, 3]) {
    const socket = connectPlain(front.port, "127.0.0.1");
    socket.on("close", () => closed.push(at)).on("error", () => undefined);
    await new Promise((done) => socket.once("connect", done));
  }
  // With the others still at it, who does speak TLS comes in.
  const answer = await dial(front, bob).then((socket) => {
    const answered = answerOn(socket);
    socket.write(get("/"));
    return answered;
  });
  expect(answer.head).toContain("x-certificate: bob");
  const noTls = connectPlain(front.port, "127.0.0.1");
  const refused = new Promise((done) => noTls.on("close", done));
  noTls.on("error", () => undefined).write(get("/"));
  noTls.resume();
  await refused;
  for (const deadline = Date.now() + 10_000; failures.length < 5 && Date.now() < deadline;) await Bun.sleep(10);
  expect(new Set(closed)).toEqual(new Set([0, 1, 2, 3]));
  expect(failures.length).toBe(5);
});
