import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startServer, type TestServer } from "./support/server.ts";

const used = new AsyncDisposableStack();
let server: TestServer;
beforeAll(async () => {
  server = used.use(await startServer());
}, 30_000);
afterAll(() => used.disposeAsync());

const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(new URL(path, server.url), init);
const admin = (): Record<string, string> => ({
  authorization: `Basic ${btoa(`${server.admin.username}:${server.admin.password}`)}`,
});

/** The answer of /readyz, asked until it is that status: an answer counts for some seconds. */
async function readiness(status: number): Promise<unknown> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await Bun.sleep(200)) {
    const answer = await ask("/readyz");
    if (answer.status === status) return answer.json();
    await answer.arrayBuffer();
  }
  throw new Error(`/readyz did not become ${status}`);
}

describe("/healthz and /readyz", () => {
  it("answer to everyone, and are never cached", async () => {
    const [health, ready] = [await ask("/healthz"), await ask("/readyz")];
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }]);
    for (const { headers } of [health, ready]) {
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-type")).toBe("application/json");
    }
    expect((await ask("/healthz", { method: "HEAD" })).status).toBe(200);
    const post = await ask("/readyz", { method: "POST" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("names the store that takes no bytes, without its path, and is ready again when it does", async () => {
    const uploads = join(server.data, "uploads");
    await rename(uploads, `${uploads}-away`);
    await writeFile(uploads, "no folder");
    try {
      const reason = "the blob store takes no bytes (ENOTDIR)";
      expect(await readiness(503)).toEqual({ ready: false, reasons: [{ check: "store", reason }] });
      expect((await ask("/healthz")).status).toBe(200);
    } finally {
      await rm(uploads);
      await rename(`${uploads}-away`, uploads);
    }
    expect(await readiness(200)).toEqual({ ready: true, reasons: [] });
    const events = server.log().map(({ event }) => event);
    expect(events.filter((event) => event === "not ready" || event === "ready again")[0]).toBe("not ready");
  }, 60_000);

  it("names the database that takes no writes", async () => {
    const other = new Database(join(server.data, "berth.sqlite"));
    other.run("begin immediate");
    try {
      const reason = "no answer within 2000 ms";
      expect(await readiness(503)).toEqual({ ready: false, reasons: [{ check: "database", reason }] });
    } finally {
      other.run("rollback");
      other.close();
    }
    await readiness(200);
  }, 60_000);
});

describe("/metrics", () => {
  it("counts every endpoint under its own name, and nothing under a client's", async () => {
    const secretName = "team/very-secret-name";
    const paths = [
      "/v2/",
      "/v2/_catalog",
      `/v2/${secretName}/tags/list`,
      `/v2/${secretName}/manifests/very-secret-tag`,
      `/v2/${secretName}/blobs/sha256:${"0".repeat(64)}`,
      `/v2/${secretName}/referrers/sha256:${"0".repeat(64)}`,
      `/v2/${secretName}/blobs/uploads/very-secret-upload`,
      "/token/jwks.json",
      "/very-secret-path",
    ];
    for (const path of paths) await (await ask(path, { headers: admin() })).arrayBuffer();
    await ask("/v2/", { method: "REPORT" });
    const answer = await ask("/metrics");
    expect(answer.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    const text = await answer.text();
    expect(text).not.toContain("secret");
    expect(text).not.toContain("REPORT");
    const handlers = [...text.matchAll(/^registry_http_requests_total\{code="\d+",handler="([a-z]+)"/gm)];
    expect([...new Set(handlers.map(([, handler]) => handler ?? ""))].toSorted()).toEqual(
      "base blob catalog healthz jwks manifest none readyz referrers tags upload".split(" "),
    );
    expect(text).toMatch(/^registry_http_in_flight_requests 1$/m);
    expect(text).toMatch(/^registry_storage_action_seconds_count\{driver="filesystem",action="append"\} [1-9]/m);
  });

  it("is no endpoint when it is switched off", async () => {
    await using quiet = await startServer({ env: { BERTH_METRICS_ENABLED: "false" } });
    expect((await fetch(new URL("/metrics", quiet.url))).status).toBe(404);
    expect((await fetch(new URL("/readyz", quiet.url))).status).toBe(200);
  }, 30_000);
});

it("a log that nobody reads does not hold up the server", async () => {
  const data = join(server.data, "unread");
  // The reader takes the lines up to the one that tells the address, and then none.
  const script = `"$@" | { while read -r line; do case $line in *'"listening"'*) echo "$line" >&2; break;; esac; done; exec sleep 60; }`;
  const berth = join(import.meta.dir, "../bin/berth");
  const child = Bun.spawn(
    ["bash", "-c", script, "bash", berth, "serve", "--addr", "127.0.0.1:0", "--data", data, "--config", "/dev/null"],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe", detached: true },
  );
  try {
    const reader = child.stderr.getReader();
    let line = "";
    while (!line.includes("\n")) line += new TextDecoder().decode((await reader.read()).value);
    const { url } = JSON.parse(line) as { url: string };
    // Several times what a pipe holds.
    for (let round = 0; round < 100; round++) {
      const agent = { "user-agent": "x".repeat(4000) };
      const answers = await Promise.all([1, 2, 3, 4].map(() => fetch(`${url}/healthz`, { headers: agent })));
      for (const answer of answers) expect(answer.status).toBe(200);
    }
  } finally {
    process.kill(-child.pid, "SIGKILL");
  }
}, 60_000);
