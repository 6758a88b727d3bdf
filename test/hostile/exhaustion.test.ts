import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { adminBasic } from "../protocol/bearer.ts";
import { digestOf, pushBlob, startUpload } from "../protocol/content.ts";
import { freshRepository, registryOf, useRegistry } from "../protocol/registry-client.ts";
import { missingProcessTable, openFiles, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { openSocket, type Talk, talk } from "./wire.ts";

const limitMs = 120_000;

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + limitMs / 3; !(await isSo()); await Bun.sleep(50)) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
  }
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-exhaustion-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The status and the body of the next answer on a connection that stays. */
async function ask(connection: Talk, request: string): Promise<{ readonly status: number; readonly body: string }> {
  const before = connection.text().length;
  connection.socket.write(request);
  const said = (): string => connection.text().slice(before);
  const length = (): number => Number(/content-length: (\d+)/i.exec(said())?.[1] ?? Number.NaN);
  const body = (): string => said().slice(said().indexOf("\r\n\r\n") + 4);
  await until("an answer", () => said().includes("\r\n\r\n") && body().length >= length());
  return { status: Number(said().slice(9, 12)), body: body() };
}

requirement("a server that has few descriptors", missingProcessTable, () => {
  test(
    "waits and refuses while there are none left, in the protocol's words, and goes on when there are",
    async () => {
      const most = 100;
      const binary = join(folder, "few");
      await Bun.write(
        binary,
        `#!/bin/sh\nulimit -n ${most}\nexec ${resolve(import.meta.dir, "../../bin/berth")} "$@"\n`,
      );
      await chmod(binary, 0o755);
      await using server = await startServer({ binary, env: { BERTH_ACCESS_MODE: "open" } });
      const registry = registryOf(server);
      const digest = await pushBlob(registry, "few/app", Buffer.alloc(2 << 20));
      const pid = await processListeningOn(server.host);
      const head = (line: string): string => `${line} HTTP/1.1\r\nHost: ${server.host}\r\n`;
      const connection = await talk(server.host, "");
      const ping = (): ReturnType<typeof ask> => ask(connection, `${head("GET /v2/")}\r\n`);
      expect((await ping()).status).toBe(200);

      const crowd: Socket[] = [];
      for (let round = 0; round < 3; round += 1) {
        crowd.push(...(await Promise.all(Array.from({ length: most + 50 }, () => openSocket(server.host)))));
        await until("no descriptor left", async () => (await openFiles(pid)) >= most);
        // Who is in goes on; what needs a file is told that there is none, and that it may come again.
        const push = `${head(`POST /v2/few/app/blobs/uploads/?digest=${digestOf("x")}`)}Content-Length: 1\r\n\r\nx`;
        for (const request of [push, `${head(`GET /v2/few/app/blobs/${digest}`)}\r\n`]) {
          const { status, body } = await ask(connection, request);
          expect({ request, status }).toEqual({ request, status: 503 });
          expect(body).toStartWith('{"errors":[{"code":"UNAVAILABLE"');
        }
        expect((await ping()).status).toBe(200);
        for (const socket of crowd.splice(0)) socket.destroy();
        await until("descriptors again", async () => (await openFiles(pid)) < most / 2);
        expect((await registry.send("GET", `/v2/few/app/blobs/${digest}`)).bytes.length).toBe(2 << 20);
        await pushBlob(registry, "few/app", Buffer.from(`after ${String(round)}`));
      }
      connection.socket.destroy();
      expect(server.log().filter(({ event }) => event === "crashed")).toEqual([]);
      expect(await server.stop()).toBe(0);
    },
    limitMs,
  );
});

requirement("thousands of transfers that break off", missingProcessTable, () => {
  const registry = useRegistry();
  const inOneGo = 50;

  test(
    "leave no file open and no memory taken",
    async () => {
      const repository = freshRepository();
      const { host } = registry.server();
      const digest = await pushBlob(registry, repository, Buffer.alloc(8 << 20, "broken"));
      const location = await startUpload(registry, repository);
      const auth = `Host: ${host}\r\nAuthorization: ${adminBasic(registry)}\r\n`;
      const requests = [
        `GET /v2/${repository}/blobs/${digest} HTTP/1.1\r\n${auth}\r\n`,
        `PATCH ${location} HTTP/1.1\r\n${auth}Content-Length: 1000000\r\n\r\nx`,
        `PUT /v2/${repository}/manifests/v1 HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\nffff\r\nx`,
      ];
      const breakOff = async (request: string): Promise<void> => {
        const socket = await openSocket(host);
        socket.write(request);
        await Bun.sleep(20);
        socket.destroy();
      };
      const storm = async (rounds: number): Promise<void> => {
        for (let round = 0; round < rounds; round += 1) {
          const request = requests[round % requests.length] ?? "";
          await Promise.all(Array.from({ length: inOneGo }, () => breakOff(request)));
        }
      };
      const pid = await processListeningOn(host);
      const filesBefore = await openFiles(pid);
      await storm(16);
      await until("as many open files as before", async () => (await openFiles(pid)) <= filesBefore + 5);
      const bytesBefore = await residentBytes(pid);
      await storm(64);
      await until("as many open files as before", async () => (await openFiles(pid)) <= filesBefore + 5);
      expect((await residentBytes(pid)) - bytesBefore).toBeLessThan(64 << 20);
      // Of several parts each holds a file of its own while it is read here.
      const parts = `GET /v2/${repository}/blobs/${digest} HTTP/1.1\r\n${auth}Range: bytes=0-3000000,3000010-6000000\r\n\r\n`;
      for (let round = 0; round < 8; round += 1) {
        await Promise.all(Array.from({ length: inOneGo }, () => breakOff(parts)));
      }
      await until("as many open files as before", async () => (await openFiles(pid)) <= filesBefore + 5);
      expect((await registry.send("GET", `/v2/${repository}/blobs/${digest}`)).status).toBe(200);
    },
    limitMs,
  );
});
