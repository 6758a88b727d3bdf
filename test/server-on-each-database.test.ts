import { expect, it } from "bun:test";
import { createHash } from "node:crypto";
import { createTestDatabase, describeEachDatabase } from "./support/databases.ts";
import { startServer, type TestServer } from "./support/server.ts";

const digestOf = (bytes: string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

describeEachDatabase("a server", (dialect) => {
  it("keeps what was pushed, over a restart", async () => {
    await using database = await createTestDatabase(dialect);
    const env = { BERTH_DATABASE_URL: database.url };
    await using first = await startServer({ env });
    const digest = await push(first, "team/app", "1");
    expect(await pull(first, "team/app", "1")).toBe(digest);
    expect(await first.stop()).toBe(0);

    await using second = await startServer({ env, data: first.data });
    expect(await pull(second, "team/app", "1")).toBe(digest);
    expect(await pull(second, "team/app", digest)).toBe(digest);
  }, 60_000);
});

const manifestType = "application/vnd.oci.image.manifest.v1+json";

async function ask(server: TestServer, path: string, init: RequestInit = {}): Promise<Response> {
  const credentials = Buffer.from(`${server.admin.username}:${server.admin.password}`).toString("base64");
  const headers = { authorization: `Basic ${credentials}`, ...(init.headers as Record<string, string>) };
  return fetch(new URL(path, server.url), { ...init, headers });
}

async function push(server: TestServer, repository: string, tag: string): Promise<string> {
  const config = "{}";
  const digest = digestOf(config);
  const blob = await ask(server, `/v2/${repository}/blobs/uploads/?digest=${digest}`, { method: "POST", body: config });
  expect(blob.status).toBe(201);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest, size: config.length },
    layers: [],
  });
  const put = await ask(server, `/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    body: manifest,
    headers: { "content-type": manifestType },
  });
  expect(put.status).toBe(201);
  return digestOf(manifest);
}

async function pull(server: TestServer, repository: string, reference: string): Promise<string> {
  const response = await ask(server, `/v2/${repository}/manifests/${reference}`);
  expect(response.status).toBe(200);
  return digestOf(await response.text());
}
