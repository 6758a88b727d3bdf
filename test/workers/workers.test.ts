import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { digestOf, pushBlob, startUpload } from "../protocol/content.ts";
import { basic, freshRepository, registryOf, withQuery } from "../protocol/registry-client.ts";
import { type ServerOptions, startServer, type TestServer } from "../support/server.ts";
import { countServing, isAlive, until, untilLogged, workersOf } from "../support/workers.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");
const two = { BERTH_HTTP_WORKERS: "2" };
const start = ({ env, ...options }: ServerOptions = {}): Promise<TestServer> =>
  startServer({ ...options, env: { ...two, ...env } });

/** A new connection each time, so that any worker may take it. */
const ask = (server: TestServer, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(path, server.url), {
    ...init,
    keepalive: false,
    headers: { connection: "close", ...(init.headers as object) },
  });

const authorization = ({ admin: { username, password } }: TestServer): Record<string, string> => ({
  authorization: basic(username, password),
});

const workersThatAnswered = (server: TestServer): ReadonlySet<unknown> =>
  new Set(server.requests().map(({ worker }) => worker));

/** Asks until both workers have answered something. */
const untilBothAnswer = (server: TestServer): Promise<void> =>
  until("both workers answer", async () => {
    await Promise.all(Array.from({ length: 16 }, async () => (await ask(server, "/v2/")).arrayBuffer()));
    await server.logged();
    return workersThatAnswered(server).size === 2;
  });

const pidsOf = (server: TestServer): readonly number[] => [...workersOf(server).values()];

describe("two workers", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await start();
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  it("share one port; each line of the log is whole and names its worker", async () => {
    await untilBothAnswer(server);
    const requests = server.requests();
    expect(requests.every(({ worker }) => worker === 1 || worker === 2)).toBe(true);
    expect(server.log().find(({ event }) => event === "listening")?.["workers"]).toBe(2);
  }, 120_000);

  it("are one server: what is pushed to one is there in the other at once", async () => {
    const registry = registryOf(server);
    const repository = freshRepository();
    for (let round = 0; round < 20; round++) {
      const bytes = randomBytes(1000);
      const digest = await pushBlob(registry, repository, bytes);
      const answers = Array.from({ length: 4 }, () =>
        ask(server, `/v2/${repository}/blobs/${digest}`, { headers: authorization(server) }),
      );
      for (const answer of await Promise.all(answers)) {
        expect(digestOf(Buffer.from(await answer.arrayBuffer()))).toBe(digest);
      }
    }
  }, 120_000);

  it("continue each other's uploads, chunk by chunk", async () => {
    const registry = registryOf(server);
    const repository = freshRepository();
    const chunks = Array.from({ length: 12 }, () => randomBytes(1000));
    const location = await startUpload(registry, repository);
    for (const chunk of chunks) expect((await registry.send("PATCH", location, { body: chunk })).status).toBe(202);
    const whole = Buffer.concat(chunks);
    const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(whole)}`), { body: "" });
    expect(put.status).toBe(201);
  }, 60_000);

  it("count wrong passwords together: ten may fail, however many are sent at once", async () => {
    const sent = Array.from({ length: 60 }, (_, index) =>
      ask(server, "/v2/", { headers: { authorization: basic("nobody-there", `wrong-password-${index}`) } }),
    );
    const statuses = (await Promise.all(sent)).map(({ status }) => status);
    const failed = statuses.filter((status) => status === 401).length;
    expect(statuses.filter((status) => status !== 401 && status !== 429)).toEqual([]);
    expect(failed).toBeLessThanOrEqual(10);
    // The rest may be sent again until all ten have been counted, and not one more.
    let more = 0;
    for (let index = 0; index < 20; index++) {
      const { status } = await ask(server, "/v2/", {
        headers: { authorization: basic("nobody-there", `again-${index}`) },
      });
      if (status === 401) more++;
    }
    expect(failed + more).toBe(10);
    expect(workersThatAnswered(server).size).toBe(2);
  }, 120_000);

  it("are told of as one: the sum of all, and no counter goes back when one dies", async () => {
    const counted = async (): Promise<number> => {
      const text = await (await ask(server, "/metrics")).text();
      return Number(/^registry_http_requests_total\{code="404",handler="none",method="GET"\} (\d+)$/m.exec(text)?.[1]);
    };
    for (let index = 0; index < 40; index++) await (await ask(server, "/nowhere")).arrayBuffer();
    expect(await counted()).toBe(40);
    process.kill(pidsOf(server)[0] ?? 0, "SIGKILL");
    await untilLogged(server, "worker died");
    await until("two serve again", async () => (await countServing(server)) === 2);
    expect(await counted()).toBe(40);
    for (let index = 0; index < 5; index++) await (await ask(server, "/nowhere")).arrayBuffer();
    expect(await counted()).toBe(45);
    expect(await (await ask(server, "/readyz")).json()).toEqual({ ready: true, reasons: [] });
  }, 120_000);
});

it("a new password, given by the operator's command, counts in every worker with the next request", async () => {
  await using server = await start();
  await untilBothAnswer(server);
  const statuses = async (password: string): Promise<readonly number[]> => {
    const asked = Array.from({ length: 16 }, () =>
      ask(server, "/v2/", { headers: { authorization: basic("admin", password) } }),
    );
    return [...new Set((await Promise.all(asked)).map(({ status }) => status))];
  };
  expect(await statuses(server.admin.password)).toEqual([200]);
  const command = [berth, "user", "password", "admin", "--data", server.data];
  const child = Bun.spawn(command, { stdin: Buffer.from("another-long-password\n"), stdout: "ignore" });
  expect(await child.exited).toBe(0);
  expect(await statuses("another-long-password")).toEqual([200]);
  // Remembered by both, and not believed by either; those that the limit refuses are not let in either.
  expect((await statuses(server.admin.password)).includes(200)).toBe(false);
}, 120_000);

describe("a worker that dies", () => {
  it("is replaced, refuses nobody, and the upload that it was receiving goes on at once", async () => {
    await using server = await start();
    const registry = registryOf(server);
    const repository = freshRepository();
    const location = await startUpload(registry, repository);
    expect((await registry.send("PATCH", location, { body: "acknowledged" })).status).toBe(202);
    const socket = connect(Number(server.host.split(":")[1]), "127.0.0.1").on("error", () => {});
    const head = `PATCH ${location} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization(server)["authorization"] ?? ""}`;
    socket.write(`${head}\r\nContent-Length: 1000\r\n\r\nhalf of it`);
    await until("the upload is held", async () => {
      return (
        (await registry.send("PATCH", location, { headers: { "Content-Range": "12-12" }, body: "x" })).status === 416
      );
    });
    const killed = pidsOf(server);
    for (const pid of killed) process.kill(pid, "SIGKILL");
    // One that is about to die may still take a connection, which dies with it.
    await until("both are dead", async () => killed.every(isDead));
    // Nobody lives: the next request waits for the first one that does.
    const asked = await Promise.all(Array.from({ length: 8 }, () => ask(server, "/v2/")));
    expect(asked.map(({ status }) => status)).toEqual(asked.map(() => 401));
    await untilLogged(server, "worker died", { count: 2 });
    socket.destroy();
    const position = await registry.send("GET", location);
    const at = Number(/^0-(\d+)$/.exec(position.header("range") ?? "")?.[1]) + 1;
    const began = performance.now();
    await until("the upload is free", async () => {
      const headers = { "Content-Range": `${at}-${at + 3}` };
      return (await registry.send("PATCH", location, { headers, body: "more" })).status === 202;
    });
    // Without its release the hold would last 30 seconds.
    expect(performance.now() - began).toBeLessThan(20_000);
    await until("two serve again", async () => (await countServing(server)) === 2);
    expect(await server.stop()).toBe(0);
  }, 120_000);

  it("that only hangs is found and replaced, and the other one answers meanwhile", async () => {
    await using server = await start();
    await untilBothAnswer(server);
    const [hanging = 0] = pidsOf(server);
    process.kill(hanging, "SIGSTOP");
    let answered = 0;
    while (!server.log().some(({ event }) => event === "worker hangs")) {
      const answer = await ask(server, "/v2/", { signal: AbortSignal.timeout(30_000) });
      expect(answer.status).toBe(401);
      answered++;
      await Bun.sleep(50);
    }
    expect(answered).toBeGreaterThan(10);
    await untilLogged(server, "worker died", { fits: ({ pid, how }) => pid === hanging && how === "SIGKILL" });
    await until("two serve again", async () => (await countServing(server)) === 2);
  }, 120_000);

  it("hands the background work on: the other one collects", async () => {
    await using server = await start({
      env: { BERTH_COLLECT_INTERVAL_SECONDS: "1", BERTH_UPLOADS_IDLE_SECONDS: "1" },
    });
    const collectors = (): readonly unknown[] =>
      server.log().flatMap(({ event, worker }) => (event === "collected" ? [worker] : []));
    await startUpload(registryOf(server), freshRepository());
    await untilLogged(server, "collected");
    const [first] = collectors();
    const before = server.log().length;
    process.kill(workersOf(server).get(Number(first)) ?? 0, "SIGKILL");
    await untilLogged(server, "worker died");
    await startUpload(registryOf(server), freshRepository());
    await until("another collects", () =>
      server
        .log()
        .slice(before)
        .some(({ event }) => event === "collected"),
    );
    expect(collectors().at(-1)).not.toBe(first);
  }, 120_000);
});

async function* endless(): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < 400; piece++) {
    yield randomBytes(10);
    await Bun.sleep(100);
  }
}

describe("the server's own process", () => {
  it("takes its workers along when it is killed, and the folder is free for the next one, not before", async () => {
    const server = await start();
    await using first = server;
    const pids = pidsOf(first);
    await first.stop("SIGKILL");
    await using second = await start({ data: first.data });
    expect(pids.filter(isAlive)).toEqual([]);
    expect((await ask(second, "/v2/")).status).toBe(401);
  }, 120_000);

  it("is the only one on its port and on its folder", async () => {
    await using server = await start();
    for (const [name, options] of Object.entries({
      "the same port": { addr: server.host },
      "the same folder": { data: server.data },
      "the same folder, alone": { data: server.data, env: { BERTH_HTTP_WORKERS: "1" } },
    })) {
      const [outcome] = await Promise.allSettled([start(options)]);
      const reason = outcome.status === "rejected" ? String(outcome.reason) : "it started";
      expect(reason, name).toMatch(/stopped with 2 .*(?:cannot listen on|another server is running)/s);
    }
    expect((await ask(server, "/v2/")).status).toBe(401);
  }, 120_000);

  it("does not start where its workers cannot, and says why", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-workers-"));
    try {
      const { output, exitCode } = await run(
        [berth, "serve", "--addr", "127.0.0.1:0", "--data", folder, "--workers", "3"],
        { cwd: folder, env: { BERTH_DATABASE_URL: "postgres://127.0.0.1:1/none" } },
      );
      expect(exitCode).toBe(2);
      expect(output.match(/berth: database\.url: /g)).toHaveLength(1);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);

  it("stops all of them on SIGTERM: they end what runs, within the time", async () => {
    await using server = await start();
    const pids = pidsOf(server);
    const registry = registryOf(server);
    const repository = freshRepository();
    const bytes = randomBytes(400_000);
    const location = withQuery(await startUpload(registry, repository), `digest=${digestOf(bytes)}`);
    const slowly = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 40_000) {
        yield bytes.subarray(at, at + 40_000);
        await Bun.sleep(100);
      }
    };
    const upload = registry.send("PUT", location, { body: slowly() });
    await Bun.sleep(300);
    const stopped = server.stop();
    expect((await upload).status).toBe(201);
    expect(await stopped).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(server.log().at(-1)?.event).toBe("stopped");
  }, 60_000);

  it("ends at once with all of them on a second signal", async () => {
    await using server = await start({ env: { BERTH_SHUTDOWN_DRAIN_SECONDS: "60" } });
    const pids = pidsOf(server);
    const registry = registryOf(server);
    const location = await startUpload(registry, freshRepository());
    const upload = Promise.allSettled([registry.send("PATCH", location, { body: endless() })]);
    await until(
      "the upload is held",
      async () => (await registry.send("PATCH", location, { body: "x" })).status === 416,
    );
    const stopped = server.stop();
    await untilLogged(server, "stopping");
    await Bun.sleep(700);
    await server.stop("SIGINT");
    expect(await stopped).toBe(130);
    await until("no worker is left", () => pids.filter(isAlive).length === 0);
    await upload;
  }, 60_000);
});

/** Ended, whether its end was taken notice of or not. */
function isDead(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${String(pid)}/stat`, "utf8"));
  } catch {
    return true;
  }
}
