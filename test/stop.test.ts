import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { pushBlob, startUpload } from "./protocol/content.ts";
import { freshRepository, registryOf } from "./protocol/registry-client.ts";
import { startServer, type TestServer } from "./support/server.ts";

const basicOf = ({ admin: { username, password } }: TestServer): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

/** Begins an upload whose client never ends it, and sends some of it. */
async function stalledUpload(host: string, head: readonly string[], body: string): Promise<Socket> {
  const [hostname = "", port] = host.split(":");
  const socket = connect({ host: hostname, port: Number(port) });
  // Its end is what the test is about.
  socket.on("error", () => {});
  await new Promise((resolve) => socket.write(`${head.join("\r\n")}\r\n\r\n${body}`, resolve));
  await Bun.sleep(300);
  return socket;
}

test("a server that is told to stop ends what does not end, and keeps what came in", async () => {
  await using first = await startServer({ env: { BERTH_SHUTDOWN_DRAIN_SECONDS: "1" } });
  const registry = registryOf(first);
  const repository = freshRepository();
  const location = await startUpload(registry, repository);
  const head = [
    `PATCH ${location} HTTP/1.1`,
    `Host: ${first.host}`,
    `Authorization: ${basicOf(first)}`,
    "Content-Length: 100000",
  ];
  const socket = await stalledUpload(first.host, head, "x".repeat(5000));
  const asked = performance.now();
  expect(await first.stop()).toBe(0);
  expect(performance.now() - asked).toBeLessThan(6000);
  socket.destroy();

  await using second = await startServer({ data: first.data });
  expect((await registryOf(second).send("GET", location)).header("range")).toBe("0-4999");
}, 30_000);

test("a pull that is under way when the server is told to stop comes to its end", async () => {
  await using server = await startServer();
  const registry = registryOf(server);
  const repository = freshRepository();
  const bytes = Buffer.alloc(30_000_000, "layer ");
  const digest = await pushBlob(registry, repository, bytes);
  const answer = await fetch(`${server.url}/v2/${repository}/blobs/${digest}`, {
    headers: { authorization: basicOf(server) },
  });
  const stopped = server.stop();
  await Bun.sleep(300);
  expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
  expect(await stopped).toBe(0);
}, 30_000);
