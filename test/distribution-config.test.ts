import { afterEach, beforeEach, expect, it } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "./support/server.ts";

/** The file of distribution's container image, version 3; of version 2 it differs in what has no effect. */
const imageConfig = `version: 0.1
log:
  level: debug
  fields:
    service: registry
    environment: development
storage:
    delete:
      enabled: true
    cache:
        blobdescriptor: inmemory
    filesystem:
        rootdirectory: /var/lib/registry
    maintenance:
        uploadpurging:
            enabled: false
    tag:
      concurrencylimit: 8
http:
    addr: :5000
    debug:
        addr: :5001
        prometheus:
            enabled: true
            path: /metrics
    headers:
        X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`;

let folder = "";
let file = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-distribution-config-"));
  file = join(folder, "config.yml");
  await writeFile(file, imageConfig);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("with the file of distribution's image on the loopback, everyone pushes, pulls and deletes, as there", async () => {
  await using server = await startServer({ args: ["--config", file] });
  const body = "a layer";
  const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  const pushed = await fetch(`${server.url}/v2/my-app/blobs/uploads/?digest=${digest}`, { method: "POST", body });
  expect(pushed.status).toBe(201);
  const pulled = await fetch(`${server.url}/v2/my-app/blobs/${digest}`);
  expect([pulled.status, await pulled.text()]).toEqual([200, body]);
  expect((await fetch(`${server.url}/v2/my-app/blobs/${digest}`, { method: "DELETE" })).status).toBe(202);
  const warnings = server.log().filter(({ level }) => level === "warn");
  expect(warnings.map(({ event, warning }) => warning ?? event)).toEqual([
    "settings of distribution's that have no effect here: log.fields, storage.cache, " +
      "storage.maintenance.uploadpurging.enabled, storage.tag, http.debug, http.headers, health",
    `access.mode is open, because ${file} has no auth and http.addr is on the loopback`,
    "access.mode is open: everyone may push, pull and delete without signing in",
  ]);
}, 30_000);

it("without storage.delete.enabled, deletes are off, as there", async () => {
  await writeFile(file, "version: 0.1\nstorage: filesystem\n");
  await using server = await startServer({ args: ["--config", file] });
  const answer = await fetch(`${server.url}/v2/my-app/manifests/1`, { method: "DELETE" });
  expect(answer.status).toBe(405);
}, 30_000);

it("on every address it does not start until the mode is said", async () => {
  const options = { args: ["--config", file], addr: "0.0.0.0:0" };
  const refused = await startServer(options).then(
    () => "it started",
    (error: unknown) => String(error),
  );
  expect(refused).toContain("the server stopped with 2 before it listened");
  expect(refused).toContain(`berth: access.mode: ${file} has no auth`);
  await using server = await startServer({ ...options, env: { BERTH_ACCESS_MODE: "standard" } });
  expect((await fetch(`http://127.0.0.1:${new URL(server.url).port}/v2/`)).status).toBe(401);
}, 30_000);

it("REGISTRY_ variables reach the server", async () => {
  const env = { REGISTRY_STORAGE_DELETE_ENABLED: "false", REGISTRY_HTTP_HOST: "https://registry.example.org" };
  await using server = await startServer({ env: { ...env, REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: folder } });
  const challenge = (await fetch(`${server.url}/v2/`)).headers.get("www-authenticate");
  expect(challenge).toContain('realm="https://registry.example.org/token"');
  // The flag of the harness counts more.
  expect(await readdir(folder)).toEqual(["config.yml"]);
}, 30_000);
