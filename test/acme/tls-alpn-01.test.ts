import { expect, it } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { digestOf } from "../protocol/content.ts";
import { requirement } from "../support/requirement.ts";
import { askAnyway, count, startAcmeServer, until, untilLogged } from "./acme-server.ts";
import { missingPebble, startPebble } from "./pebble.ts";

requirement("tls-alpn-01", missingPebble, () => {
  it("renews in time, and a loaded server loses no request by it", async () => {
    const externalAccount = {
      keyId: "kid-1",
      hmacKey: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
    };
    await using pebble = await startPebble({ validitySeconds: 12, externalAccount });
    await using server = await startAcmeServer(pebble, "tls-alpn-01", {
      env: {
        BERTH_TLS_ACME_EXTERNAL_ACCOUNT_KEY_ID: externalAccount.keyId,
        BERTH_TLS_ACME_EXTERNAL_ACCOUNT_HMAC_KEY: externalAccount.hmacKey,
      },
    });
    const tally = { running: true, answered: 0, failed: [] as string[] };
    const client = async (headers: Record<string, string>): Promise<void> => {
      while (tally.running) {
        try {
          const answer = await fetch(`${server.url}/healthz`, { headers, tls: { rejectUnauthorized: false } });
          await answer.arrayBuffer();
          if (answer.status === 200) tally.answered++;
          else tally.failed.push(String(answer.status));
        } catch (error) {
          tally.failed.push(String(error));
        }
        await Bun.sleep(2);
      }
    };
    const clients = [{ connection: "close" }, {}, { connection: "close" }, {}].map(client);
    // Whoever comes while the authority looks comes by the front, and is still known for who it is.
    const fromElsewhere = async (): Promise<void> => {
      const command = ["curl", "--silent", "--show-error", "--insecure", "--fail", "--interface", "127.0.0.2"];
      while (tally.running) {
        const { exitCode, output } = await run([...command, "--user-agent", "elsewhere", `${server.url}/healthz`], {
          cwd: server.data,
        });
        if (exitCode !== 0) tally.failed.push(output);
      }
    };
    // Each is under way while one takes over from another.
    const uploading = async (): Promise<void> => {
      const authorization = `Basic ${btoa(`${server.admin.username}:${server.admin.password}`)}`;
      const url = `${server.url}/v2/team/app/blobs/uploads/?digest=${digestOf(Buffer.alloc(300))}`;
      while (tally.running) {
        const body = slowBody(30);
        const sent = { method: "POST", headers: { authorization }, body, tls: { rejectUnauthorized: false } };
        const status = await fetch(url, sent).then((answer) => answer.status, String);
        if (status !== 201) tally.failed.push(`upload: ${status}`);
      }
    };
    const others = [fromElsewhere(), uploading(), uploading()];
    await untilLogged(server, "certificate renewed", 2);
    tally.running = false;
    await Promise.all([...clients, ...others]);
    expect(tally.failed).toEqual([]);
    expect(tally.answered).toBeGreaterThan(500);
    expect(await server.stop()).toBe(0);
    const elsewhere = server.requests().filter(({ userAgent }) => userAgent === "elsewhere");
    expect(elsewhere.length).toBeGreaterThan(20);
    expect(new Set(elsewhere.map(({ remoteAddress }) => remoteAddress))).toEqual(new Set(["127.0.0.2"]));
  }, 240_000);

  it("goes on with its order after it was killed in the middle of it", async () => {
    await using pebble = await startPebble();
    const killed = await startAcmeServer(pebble, "tls-alpn-01");
    const hasOrder = async (): Promise<boolean> => {
      const [name] = await readdir(join(killed.data, "acme")).catch(() => []);
      return name !== undefined && (await readdir(join(killed.data, "acme", name))).includes("order.json");
    };
    await until("an order", hasOrder);
    await killed.stop("SIGKILL");
    expect(await hasOrder()).toBe(true);
    await using server = await startAcmeServer(pebble, "tls-alpn-01", { data: killed.data });
    await untilLogged(server, "certificate renewed");
    expect(pebble.output().match(/POST \/order-plz/g)).toHaveLength(1);
    expect(pebble.output().match(/Issued certificate serial/g)).toHaveLength(1);
    expect(count(server, "certificate not obtained")).toBe(0);
    expect((await askAnyway(server, "/healthz")).status).toBe(200);
    await killed[Symbol.asyncDispose]();
  }, 240_000);
});

async function* slowBody(pieces: number): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < pieces; piece++) {
    yield Buffer.alloc(10);
    await Bun.sleep(100);
  }
}
