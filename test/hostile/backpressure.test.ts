import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { missingStrace } from "../faults/trace/traced-server.ts";
import { digestOf, startUpload } from "../protocol/content.ts";
import { basic, registryOf } from "../protocol/registry-client.ts";
import { missingProcessTable, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";

const atOnce = 64;
const uploadBytes = 12 << 20;
/** Half of what the clients have to send: a server that took it all into its memory would need twice as much. */
const mostGrowthBytes = (atOnce * uploadBytes) / 2;
const berth = resolve(import.meta.dir, "../../bin/berth");

/** A server whose every write to a file takes some milliseconds longer. */
async function startSlowDisk(folder: string): Promise<TestServer> {
  const binary = join(folder, "slow-berth");
  const strace =
    "strace -D -f -qq --seccomp-bpf -e trace=pwrite64,pwritev -e inject=pwrite64,pwritev:delay_enter=3000 -o /dev/null";
  await writeFile(binary, `#!/bin/sh\nexec ${strace} '${berth}' "$@"\n`);
  await chmod(binary, 0o755);
  return startServer({ data: join(folder, "data"), binary });
}

/** Looks at the size of the server before `start`, since on a fast machine the work is half done in 200 ms. */
async function growthDuring<T>(host: string, start: () => Promise<T>): Promise<{ growth: number; result: T }> {
  const pid = await processListeningOn(host);
  const before = await residentBytes(pid);
  let growth = 0;
  const over = new AbortController();
  const work = start().finally(() => over.abort());
  while (!over.signal.aborted) {
    growth = Math.max(growth, (await residentBytes(pid)) - before);
    await Bun.sleep(50);
  }
  const result = await work;
  return { growth: Math.max(growth, (await residentBytes(pid)) - before), result };
}

/** Sends a request as fast as the other side takes it. @returns the status line */
async function sendFast(host: string, head: string, body: Buffer): Promise<string> {
  const [name, port] = host.split(":");
  const socket = connect(Number(port), name);
  const answer = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (data: Buffer) => {
    text += data.toString("latin1");
    if (text.includes("\r\n")) answer.resolve(text.slice(0, text.indexOf("\r\n")));
  });
  socket.on("error", answer.reject);
  socket.on("close", () => answer.reject(new Error(`closed without an answer: ${text}`)));
  socket.write(head);
  socket.write(body);
  try {
    return await answer.promise;
  } finally {
    socket.destroy();
  }
}

const headOf = (method: string, path: string, headers: Readonly<Record<string, string>>): string =>
  `${method} ${path} HTTP/1.1\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;

const body = randomBytes(uploadBytes);

requirement("memory", missingStrace() ?? missingProcessTable, () => {
  test("is not what waits for a slow disk: 64 fast uploads at once", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-slow-disk-"));
    try {
      await using server = await startSlowDisk(folder);
      const registry = registryOf(server);
      const authorization = basic(server.admin.username, server.admin.password);
      const locations = await Promise.all(Array.from({ length: atOnce }, () => startUpload(registry, "acme/slow")));
      const push = async (location: string): Promise<string> =>
        sendFast(
          server.host,
          headOf("PATCH", location, {
            Host: server.host,
            Authorization: authorization,
            "Content-Length": String(uploadBytes),
            "Content-Type": "application/octet-stream",
          }),
          body,
        );
      const { growth, result } = await growthDuring(server.host, async () => Promise.all(locations.map(push)));
      expect(result).toEqual(Array.from({ length: atOnce }, () => "HTTP/1.1 202 Accepted"));
      expect(growth).toBeLessThan(mostGrowthBytes);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 300_000);

  test("is not what waits for slow readers: 64 of a large blob", async () => {
    await using server = await startServer();
    const registry = registryOf(server);
    const blob = randomBytes(32 << 20);
    const digest = digestOf(blob);
    const put = await registry.send("POST", `/v2/acme/large/blobs/uploads/?digest=${digest}`, { body: blob });
    expect(put.status).toBe(201);
    const [name, port] = server.host.split(":");
    const head = headOf("GET", `/v2/acme/large/blobs/${digest}`, {
      Host: server.host,
      Authorization: basic(server.admin.username, server.admin.password),
    });
    const sockets: Socket[] = [];
    const read = async (): Promise<number> => {
      const socket = connect(Number(port), name);
      sockets.push(socket);
      socket.write(head);
      const until = performance.now() + 5000;
      let received = 0;
      socket.on("data", (data: Buffer) => {
        received += data.length;
        socket.pause();
      });
      socket.on("error", () => undefined);
      while (performance.now() < until) {
        socket.resume();
        await Bun.sleep(200);
      }
      return received;
    };
    try {
      const { growth, result } = await growthDuring(server.host, async () =>
        Promise.all(Array.from({ length: atOnce }, read)),
      );
      // They were in the middle of it, all of them.
      expect(result.every((bytes) => bytes > 0 && bytes < blob.length)).toBe(true);
      expect(growth).toBeLessThan(mostGrowthBytes);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  }, 120_000);

  test("that grows with what is sent is seen", async () => {
    const script = `
      const kept = [];
      const server = Bun.serve({ port: 0, hostname: "127.0.0.1", maxRequestBodySize: 2 ** 30, async fetch(request) {
        kept.push(await request.arrayBuffer());
        return new Response(null, { status: 202, statusText: "Accepted" });
      } });
      console.log(server.port);
    `;
    await using child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const { value } = await child.stdout.getReader().read();
    const host = `127.0.0.1:${new TextDecoder().decode(value).trim()}`;
    const head = headOf("PATCH", "/", { Host: host, "Content-Length": String(uploadBytes) });
    const { growth } = await growthDuring(host, async () =>
      Promise.all(Array.from({ length: atOnce }, () => sendFast(host, head, body))),
    );
    expect(growth).toBeGreaterThan(mostGrowthBytes);
  }, 120_000);
});
