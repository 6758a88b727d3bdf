import { describe, expect, it } from "bun:test";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempt } from "./clients/run.ts";
import { pushBlob, pushImage } from "./protocol/content.ts";
import { basic, registryOf } from "./protocol/registry-client.ts";
import { startPulls } from "./support/raw-pulls.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { until, untilLogged, workersOf } from "./support/workers.ts";

const repository = "acme/pulled";

/** An image with a large layer, and what raw clients pull of it. */
async function pushed(server: TestServer) {
  const registry = registryOf(server);
  const bytes = randomBytes(300_000);
  const digest = await pushBlob(registry, repository, bytes);
  const layers = [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: bytes.length }];
  const image = await pushImage(registry, repository, { tag: "1", layers });
  return [
    { path: `/v2/${repository}/blobs/${digest}`, digest },
    { path: `/v2/${repository}/manifests/1`, digest: image.digest },
  ];
}

const pullsFrom = async (server: TestServer) =>
  startPulls({
    host: server.host,
    authorization: basic(server.admin.username, server.admin.password),
    pulls: await pushed(server),
    clients: 6,
    withoutKeepAlive: 2,
  });

/** Pulls the image again and again with skopeo; what it said where it failed. */
function skopeoPulls(server: TestServer, folder: string, retries: number) {
  const name = randomUUID();
  const failures: string[] = [];
  const stop = { asked: false };
  let whole = 0;
  const pulling = (async () => {
    while (!stop.asked) {
      const target = join(folder, `${name}-${whole}-${failures.length}`);
      const { exitCode, stderr } = await attempt(
        ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--retry-times", String(retries)].concat(
          ["--src-creds", `${server.admin.username}:${server.admin.password}`],
          [`docker://${server.host}/${repository}:1`, `dir:${target}`],
        ),
      );
      if (exitCode === 0) whole++;
      else failures.push(stderr);
      await rm(target, { recursive: true, force: true });
    }
  })();
  return {
    count: () => whole,
    async stop() {
      stop.asked = true;
      await pulling;
      return failures;
    },
  };
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "berth-restart-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** So many more pulls than now, so that each part of a restart has pulls about it. */
function untilMore(what: string, count: () => number, more: number): Promise<void> {
  const before = count();
  return until(what, () => count() >= before + more);
}

describe("two workers, replaced one after the other under load", () => {
  it("fail no pull and refuse no connection", async () => {
    await using server = await startServer({ env: { BERTH_HTTP_WORKERS: "2" } });
    const pulls = await pullsFrom(server);
    const whole = (): number => pulls.tally.whole;
    await untilMore("pulls before", whole, 100);
    for (let round = 1; round <= 2; round++) {
      const before = [...workersOf(server).values()];
      process.kill(server.pid, "SIGHUP");
      await untilLogged(server, "workers restarted", { count: round });
      await untilMore("pulls after", whole, 100);
      expect([...workersOf(server).values()].filter((pid) => before.includes(pid))).toEqual([]);
    }
    expect(await pulls.stop()).toMatchObject({ failed: [], wrong: [], refused: 0 });
    expect(server.log().filter(({ event }) => event === "worker died")).toEqual([]);
    expect(server.requests().filter(({ status = 0 }) => status >= 400)).toEqual([]);
  }, 240_000);
});

describe("one process, stopped and started under load", () => {
  it("fails no pull that it had accepted, and sends no wrong byte", async () => {
    await inFolder(async (data) => {
      let server = await startServer({ data });
      const addr = server.host;
      const pulls = await pullsFrom(server);
      const whole = (): number => pulls.tally.whole;
      for (let round = 0; round < 3; round++) {
        await untilMore("pulls between", whole, 100);
        expect(await server.stop()).toBe(0);
        expect(server.log().filter(({ event }) => event === "requests cut off")).toEqual([]);
        server = await startServer({ data, addr });
      }
      await untilMore("pulls after", whole, 100);
      expect(await pulls.stop()).toMatchObject({ failed: [], wrong: [] });
      await server.stop("SIGKILL");
    });
  }, 180_000);

  it("and the same clients see a server that is killed", async () => {
    await inFolder(async (data) => {
      const server = await startServer({ data });
      const pulls = await pullsFrom(server);
      await untilMore("pulls", () => pulls.tally.whole, 100);
      await server.stop("SIGKILL");
      await until("a client is refused", () => pulls.tally.refused > 0);
      const { failed, stoodStill } = await pulls.stop();
      expect(failed.length + stoodStill).toBeGreaterThan(0);
    });
  }, 60_000);
});

requirement("skopeo", Bun.which("skopeo") === null ? "skopeo is not installed" : undefined, () => {
  it("pulls on while workers are replaced, without trying anything again", async () => {
    await inFolder(async (folder) => {
      await using server = await startServer({ env: { BERTH_HTTP_WORKERS: "2" } });
      await pushed(server);
      const pulls = [skopeoPulls(server, folder, 0), skopeoPulls(server, folder, 0)];
      const whole = (): number => pulls.reduce((sum, one) => sum + one.count(), 0);
      await untilMore("pulls before", whole, 4);
      process.kill(server.pid, "SIGHUP");
      await untilLogged(server, "workers restarted");
      await untilMore("pulls after", whole, 4);
      expect((await Promise.all(pulls.map((one) => one.stop()))).flat()).toEqual([]);
    });
  }, 120_000);

  it("gets over a stop and a start, as it tries again where nobody listens", async () => {
    await inFolder(async (folder) => {
      const data = join(folder, "data");
      let server = await startServer({ data });
      const addr = server.host;
      await pushed(server);
      const pulls = skopeoPulls(server, folder, 6);
      for (let round = 0; round < 2; round++) {
        await untilMore("pulls between", pulls.count, 3);
        expect(await server.stop()).toBe(0);
        server = await startServer({ data, addr });
      }
      await untilMore("pulls after", pulls.count, 3);
      expect(await pulls.stop()).toEqual([]);
      await server.stop("SIGKILL");
    });
  }, 180_000);
});
