import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { join } from "node:path";
import { adminBasic } from "../protocol/bearer.ts";
import { digestOf, indexBytes, mediaTypes, pushBlob, pushManifest, startUpload } from "../protocol/content.ts";
import { freshRepository, useRegistry, withQuery } from "../protocol/registry-client.ts";
import { missingProcessTable, openFiles, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { openSocket } from "./wire.ts";

const registry = useRegistry();
const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

/** Connections that have said this much, and say and read nothing more. */
async function openMany(count: number, bytes: (at: number) => string): Promise<readonly Socket[]> {
  const { host } = registry.server();
  const sockets = await Promise.all(Array.from({ length: count }, () => openSocket(host)));
  opened.push(...sockets);
  for (const [at, socket] of sockets.entries()) socket.write(bytes(at));
  return sockets;
}

const auth = (): string => `Host: ${registry.server().host}\r\nAuthorization: ${adminBasic(registry)}\r\n`;

requirement("a crowd of slow connections", missingProcessTable, () => {
  const eachOfSevenKinds = 86;
  const pulls = 200;
  const mostRounds = 8;
  let target = "";
  let blob = "";
  beforeAll(async () => {
    const repository = freshRepository();
    await pushManifest(registry, { repository, bytes: indexBytes([]), mediaType: mediaTypes.index, tag: "v1" });
    target = `${registry.server().url}/v2/${repository}/manifests/v1`;
    blob = `/v2/${repository}/blobs/${await pushBlob(registry, repository, Buffer.alloc(16 << 20, "crowd"))}`;
  });

  /** The time that 99 of 100 pulls are within, one behind the other. */
  async function pullsMs(): Promise<number> {
    const times: number[] = [];
    for (let pull = 0; pull < pulls; pull += 1) {
      const started = performance.now();
      const answer = await fetch(target, { headers: { authorization: adminBasic(registry) } });
      await answer.arrayBuffer();
      expect(answer.status).toBe(200);
      times.push(performance.now() - started);
    }
    return times.toSorted((a, b) => a - b)[Math.ceil(pulls * 0.99) - 1] ?? 0;
  }

  /** How many times as long pulls take while something goes on, the least of some rounds: a machine has other work too. */
  async function slowdown(rounds: number, begin: () => Promise<() => Promise<void>>): Promise<number> {
    let least = Infinity;
    for (let round = 0; round < rounds && least > 2; round += 1) {
      const alone = await pullsMs();
      const end = await begin();
      try {
        least = Math.min(least, (await pullsMs()) / alone);
      } finally {
        await end();
      }
    }
    return least;
  }

  async function gather(): Promise<() => Promise<void>> {
    const { host } = registry.server();
    const script = join(import.meta.dir, "slow-crowd.ts");
    const child = Bun.spawn([process.execPath, script, host, adminBasic(registry), blob, String(eachOfSevenKinds)], {
      stdout: "pipe",
    });
    await child.stdout.getReader().read();
    return async () => {
      child.kill("SIGKILL");
      await child.exited;
    };
  }

  test("holds nobody else up: 99 of 100 pulls take at most twice as long among 602 of them", async () => {
    const pid = await processListeningOn(registry.server().host);
    const before = await openFiles(pid);
    await pullsMs();
    const least = await slowdown(mostRounds, async () => {
      const end = await gather();
      const enough = before + 7 * eachOfSevenKinds * 0.9;
      for (let waited = 0; (await openFiles(pid)) < enough; waited += 20) {
        if (waited > 20_000) throw new Error("the server did not take them all");
        await Bun.sleep(20);
      }
      return end;
    });
    expect(least).toBeLessThanOrEqual(2);
    for (let waited = 0; (await openFiles(pid)) > before + 20 && waited < 30_000; waited += 100) await Bun.sleep(100);
    expect(await openFiles(pid)).toBeLessThanOrEqual(before + 20);
    await pushBlob(registry, freshRepository(), randomBytes(1000));
  }, 240_000);

  test("would be seen if it did", async () => {
    const pid = Number(await processListeningOn(registry.server().host));
    const least = await slowdown(1, async () => {
      const over = new AbortController();
      const stopping = (async () => {
        while (!over.signal.aborted) {
          process.kill(pid, "SIGSTOP");
          await Bun.sleep(600);
          process.kill(pid, "SIGCONT");
          await Bun.sleep(30);
        }
      })();
      return async () => {
        over.abort();
        await stopping;
      };
    });
    expect(least).toBeGreaterThan(2);
  }, 120_000);
});

test("slow is no crime: headers that come letter by letter, and end after all, are answered", async () => {
  const sockets = await openMany(50, () => `GET /v2/ HTTP/1.1\r\n${auth()}X-Slow: `);
  for (let letter = 0; letter < 20; letter += 1) {
    for (const socket of sockets) socket.write("x");
    await Bun.sleep(50);
  }
  for (const socket of sockets) socket.write("\r\nConnection: close\r\n\r\n");
  const statuses = await Promise.all(sockets.map(statusOf));
  expect(new Set(statuses)).toEqual(new Set(["200"]));
}, 30_000);

function statusOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (data: Buffer) => resolve(data.toString("latin1").slice(9, 12)));
    socket.once("close", () => resolve("closed"));
    socket.resume();
  });
}

requirement("clients that ask and do not read", missingProcessTable, () => {
  const size = 48 << 20;
  const ranges: Readonly<Record<string, string>> = {
    "a whole blob": "",
    "a part of it": "Range: bytes=5-40000000\r\n",
    "several parts of it": "Range: bytes=0-20000000,20000010-40000000\r\n",
  };
  for (const [name, range] of Object.entries(ranges)) {
    test(`${name}: cost no memory, and leave no file open`, async () => {
      const repository = freshRepository();
      const digest = await pushBlob(registry, repository, Buffer.alloc(size, name));
      const pid = await processListeningOn(registry.server().host);
      const [bytesBefore, filesBefore] = [await residentBytes(pid), await openFiles(pid)];
      const request = `GET /v2/${repository}/blobs/${digest} HTTP/1.1\r\n${auth()}${range}\r\n`;
      await openMany(20, () => request);
      await Bun.sleep(1000);
      // A twentieth of what was asked for, twenty times.
      expect((await residentBytes(pid)) - bytesBefore).toBeLessThan(size * 2);
      expect((await registry.send("GET", "/v2/")).status).toBe(200);
      for (const socket of opened.splice(0)) socket.destroy();
      for (let waited = 0; (await openFiles(pid)) > filesBefore + 2 && waited < 5000; waited += 50) await Bun.sleep(50);
      expect(await openFiles(pid)).toBeLessThanOrEqual(filesBefore + 2);
    }, 30_000);
  }
});

describe("a body that was announced and does not come", () => {
  const bytes = randomBytes(300_000);
  const kinds: Readonly<Record<string, (location: string) => string>> = {
    "of a PATCH": (location) =>
      `PATCH ${location} HTTP/1.1\r\n${auth()}Content-Length: ${String(bytes.length)}\r\n\r\n`,
    "of a PATCH with its range": (location) =>
      `PATCH ${location} HTTP/1.1\r\n${auth()}Content-Range: 0-${String(bytes.length - 1)}\r\nContent-Length: ${String(bytes.length)}\r\n\r\n`,
    "of a PATCH in chunks": (location) =>
      `PATCH ${location} HTTP/1.1\r\n${auth()}Transfer-Encoding: chunked\r\n\r\n${bytes.length.toString(16)}\r\n`,
    "of the PUT that ends it": (location) =>
      `PUT ${withQuery(location, `digest=${digestOf(bytes)}`)} HTTP/1.1\r\n${auth()}Content-Length: ${String(bytes.length)}\r\n\r\n`,
  };
  for (const [name, head] of Object.entries(kinds)) {
    for (const sent of [0, 100_000]) {
      test(`${name}, after ${String(sent)} bytes: the upload goes on where it stands`, async () => {
        const repository = freshRepository();
        const location = await startUpload(registry, repository);
        const [socket] = await openMany(1, () => head(location));
        socket?.write(bytes.subarray(0, sent));
        await Bun.sleep(100);
        socket?.destroy();
        // The session is the lost request's until the server has heard of its end.
        let status = 416;
        for (let waited = 0; status === 416 && waited < 5000; waited += 50) {
          const stands = await registry.send("GET", location);
          expect(stands.status).toBe(204);
          const offset = Number(/^0-(-?\d+)$/.exec(stands.header("range") ?? "")?.[1]) + 1;
          expect([0, sent]).toContain(offset);
          const headers = { "Content-Range": `${String(offset)}-${String(bytes.length - 1)}` };
          status = (await registry.send("PATCH", location, { headers, body: bytes.subarray(offset) })).status;
          await Bun.sleep(50);
        }
        expect(status).toBe(202);
        const digest = digestOf(bytes);
        expect((await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "" })).status).toBe(201);
        const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
        expect(pulled.bytes.equals(bytes)).toBe(true);
      }, 20_000);
    }
  }
});
