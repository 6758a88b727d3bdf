import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { requirement } from "../support/requirement.ts";
import { absentDigest, digestOf, pushBlob, pushImage, startUpload } from "./content.ts";
import { expectProblem, freshRepository, useRegistry } from "./registry-client.ts";
import { missingProcessTable, openFiles, processListeningOn } from "./server-process.ts";

const registry = useRegistry();

test("GET answers 200, the exact bytes, the requested digest, a parseable type and Accept-Ranges: bytes", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(100_000);
  const digest = await pushBlob(registry, repository, bytes);
  const answer = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
  expect(answer.status).toBe(200);
  expect(answer.bytes.equals(bytes)).toBe(true);
  expect(answer.header("docker-content-digest")).toBe(digest);
  expect(answer.header("content-type")).toMatch(/^[a-z]+\/[a-z0-9.+-]+$/);
  expect(answer.header("accept-ranges")).toBe("bytes");
  expect(answer.header("content-length")).toBe("100000");
  expect(answer.header("etag")).toBe(`"${digest}"`);
  expect(answer.header("cache-control")).toContain("max-age=31536000");
});

test("HEAD answers the length and the digest without a body", async () => {
  const repository = freshRepository();
  const digest = await pushBlob(registry, repository, randomBytes(1234));
  const answer = await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`);
  expect(answer.status).toBe(200);
  expect(answer.header("content-length")).toBe("1234");
  expect(answer.header("docker-content-digest")).toBe(digest);
  expect(answer.header("accept-ranges")).toBe("bytes");
});

test("a missing blob in an existing repository is 404 BLOB_UNKNOWN", async () => {
  const repository = freshRepository();
  await pushBlob(registry, repository, randomBytes(10));
  expectProblem(await registry.send("GET", `/v2/${repository}/blobs/${absentDigest()}`), 404, "BLOB_UNKNOWN");
  expect((await registry.send("HEAD", `/v2/${repository}/blobs/${absentDigest()}`)).status).toBe(404);
});

test("a blob of an unknown repository is 404", async () => {
  const answer = await registry.send("GET", `/v2/${freshRepository()}/blobs/${absentDigest()}`);
  expectProblem(answer, 404, "BLOB_UNKNOWN", "NAME_UNKNOWN");
});

test("a blob of one repository is not visible in another", async () => {
  const [here, there] = [freshRepository(), freshRepository()];
  const digest = await pushBlob(registry, here, randomBytes(10));
  await pushImage(registry, there);
  expect((await registry.send("GET", `/v2/${here}/blobs/${digest}`)).status).toBe(200);
  expectProblem(await registry.send("GET", `/v2/${there}/blobs/${digest}`), 404, "BLOB_UNKNOWN");
});

test("an empty blob is a blob", async () => {
  const repository = freshRepository();
  const digest = await pushBlob(registry, repository, Buffer.alloc(0));
  const answer = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
  expect(answer.status).toBe(200);
  expect(answer.header("content-length")).toBe("0");
  expect(answer.header("docker-content-digest")).toBe(digest);
});

test("a blob pushed by sha512 is not found by its sha256, and the reverse", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(40);
  const short = await pushBlob(registry, repository, bytes);
  const long = digestOf(bytes, "sha512");
  expect((await registry.send("HEAD", `/v2/${repository}/blobs/${long}`)).status).toBe(404);
  const location = await startUpload(registry, repository);
  expect((await registry.send("PUT", `${location}?digest=${long}`, { body: bytes })).status).toBe(201);
  for (const digest of [short, long]) {
    const answer = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
    expect([answer.status, answer.header("docker-content-digest")]).toEqual([200, digest]);
  }
  expect((await registry.send("DELETE", `/v2/${repository}/blobs/${short}`)).status).toBe(202);
  expect((await registry.send("HEAD", `/v2/${repository}/blobs/${long}`)).status).toBe(200);
});

test("If-None-Match with the digest, quoted or bare, weak or in a list, is 304 without a body", async () => {
  const repository = freshRepository();
  const digest = await pushBlob(registry, repository, randomBytes(10));
  for (const value of [`"${digest}"`, digest, `W/"${digest}"`, `"other", "${digest}"`, "*"]) {
    for (const method of ["GET", "HEAD"]) {
      const answer = await registry.send(method, `/v2/${repository}/blobs/${digest}`, {
        headers: { "If-None-Match": value },
      });
      expect({ value, method, status: answer.status }).toEqual({ value, method, status: 304 });
      expect(answer.bytes).toHaveLength(0);
      expect(answer.header("etag")).toBe(`"${digest}"`);
    }
  }
});

test("If-None-Match with another digest is 200", async () => {
  const repository = freshRepository();
  const digest = await pushBlob(registry, repository, randomBytes(10));
  const answer = await registry.send("GET", `/v2/${repository}/blobs/${digest}`, {
    headers: { "If-None-Match": `"${absentDigest()}"` },
  });
  expect(answer.status).toBe(200);
});

test("If-None-Match for a blob that is not there is 404", async () => {
  const repository = freshRepository();
  await pushBlob(registry, repository, randomBytes(10));
  const digest = absentDigest();
  const answer = await registry.send("GET", `/v2/${repository}/blobs/${digest}`, {
    headers: { "If-None-Match": `"${digest}"` },
  });
  expect(answer.status).toBe(404);
});

/** Reads until the first bytes of the body, then hangs up. */
function readAndHangUp(host: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const [hostname = "", port] = host.split(":");
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(request));
    socket.once("data", (bytes: Buffer) => {
      socket.resetAndDestroy();
      resolve(bytes.subarray(0, 12).toString("latin1"));
    });
    socket.on("error", reject);
  });
}

requirement("clients that close early", missingProcessTable, () => {
  test("in parallel open-ended ranges leak no handle, and the next GET works", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(8 << 20);
    const digest = await pushBlob(registry, repository, bytes);
    const server = registry.server();
    const authorization = `Basic ${Buffer.from(`admin:${server.admin.password}`).toString("base64")}`;
    const request = (start: number): string =>
      [
        `GET /v2/${repository}/blobs/${digest} HTTP/1.1`,
        `Host: ${server.host}`,
        `Authorization: ${authorization}`,
        `Range: bytes=${String(start)}-`,
        "\r\n",
      ].join("\r\n");
    const pid = await processListeningOn(server.host);
    await readAndHangUp(server.host, request(0));
    const before = await openFiles(pid);
    for (let round = 0; round < 10; round += 1) {
      const starts = Array.from({ length: 8 }, (_, part) => part << 20);
      const heads = await Promise.all(starts.map((start) => readAndHangUp(server.host, request(start))));
      expect(new Set(heads)).toEqual(new Set(["HTTP/1.1 206"]));
    }
    const whole = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
    expect(digestOf(whole.bytes)).toBe(digest);
    const deadline = Date.now() + 5000;
    while ((await openFiles(pid)) > before + 4 && Date.now() < deadline) await Bun.sleep(50);
    expect(await openFiles(pid)).toBeLessThanOrEqual(before + 4);
  });
});
