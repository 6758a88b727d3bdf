import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { missingProcessTable, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { askAnyway, host, until, untilLogged } from "./acme-server.ts";

const dayMs = 24 * 3_600_000;
const megabyte = 1024 * 1024;
const piece = new Uint8Array(megabyte);

/** Sends until it is stopped; `everyMs` apart. */
const endless = (everyMs: number, bytes: Uint8Array): Response =>
  new Response(
    new ReadableStream({
      async pull(controller) {
        await Bun.sleep(everyMs);
        controller.enqueue(bytes);
      },
    }),
  );

requirement("a real server with an authority", missingProcessTable, () => {
  let folder = "";
  let answer: (() => Response) | undefined;
  let authority: ReturnType<typeof Bun.serve>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-hostile-"));
    const from = new Date(Date.now() - dayMs);
    const own = selfSignedCertificate({ hosts: ["127.0.0.1"], from, until: new Date(Date.now() + dayMs) });
    await writeFile(join(folder, "ca.crt"), own.certPem);
    const tls = { cert: own.certPem, key: own.keyPem };
    authority = Bun.serve({ hostname: "127.0.0.1", port: 0, tls, fetch: () => answer?.() ?? new Response() });
  });
  afterAll(async () => {
    await authority.stop(true);
    await rm(folder, { recursive: true, force: true });
  });

  const start = () =>
    startServer({
      env: {
        BERTH_TLS_ACME_HOSTS: host,
        BERTH_TLS_ACME_AGREE_TO_TERMS: "true",
        BERTH_TLS_ACME_DIRECTORY_URL: `https://127.0.0.1:${authority.port}/directory`,
        BERTH_TLS_ACME_CA_FILE: join(folder, "ca.crt"),
      },
    });

  it("that never ends its answer takes no memory from it", async () => {
    answer = () => endless(0, piece);
    await using server = await start();
    const pid = await processListeningOn(server.host);
    const before = await residentBytes(pid);
    await untilLogged(server, "certificate not obtained");
    expect((await askAnyway(server, "/healthz")).status).toBe(200);
    expect((await residentBytes(pid)) - before).toBeLessThan(64 * megabyte);
  }, 240_000);

  it("that leads elsewhere is not followed", async () => {
    let followed = false;
    using elsewhere = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch() {
        followed = true;
        return new Response();
      },
    });
    answer = () => new Response(null, { status: 302, headers: { location: `http://127.0.0.1:${elsewhere.port}/` } });
    await using server = await start();
    await untilLogged(server, "certificate not obtained");
    expect(followed).toBe(false);
  }, 240_000);

  it("that answers drop by drop holds up nobody, and no end", async () => {
    answer = () => endless(50, new Uint8Array(1));
    await using server = await start();
    await until("ready to serve", async () => (await askAnyway(server, "/healthz")).status === 200);
    expect((await askAnyway(server, "/readyz")).status).toBe(503);
    expect((await askAnyway(server, "/v2/")).status).toBe(401);
    expect(await server.stop()).toBe(0);
  }, 240_000);
});
