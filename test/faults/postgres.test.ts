import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { Client } from "pg";
import { openDatabase } from "../../src/platform/database/open-database.ts";
import { storageProblem } from "../../src/platform/storage/storage-problem.ts";
import { digestOf, indexBytes, mediaTypes, pushImage, randomText } from "../protocol/content.ts";
import { type Answer, problemsOf, type Registry, registryOf } from "../protocol/registry-client.ts";
import { findPostgres, startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { judgeRepository } from "./expected-state.ts";
import { type LoadClient, loadClient } from "./load/load-client.ts";

/** CI has it away for some seconds; a longer time is the soak's. */
const awaySeconds = Number(process.env["BERTH_TEST_POSTGRES_AWAY_SECONDS"] ?? 6);
const secret = randomBytes(32).toString("base64");
const backWithinMs = 30_000;

const programs = findPostgres();

requirement("PostgreSQL that fails", "missing" in programs ? programs.missing : undefined, () => {
  let cluster: PostgresCluster | undefined;
  let server: TestServer | undefined;
  const running = (): {
    readonly cluster: PostgresCluster;
    readonly server: TestServer;
    readonly registry: Registry;
  } => {
    if (cluster === undefined || server === undefined) throw new Error("they run while tests run only");
    return { cluster, server, registry: registryOf(server) };
  };
  beforeAll(async () => {
    // What it acknowledged has to outlive its processes, as it does in earnest.
    cluster = await startPostgres("bin" in programs ? programs.bin : "", {
      settings: { synchronous_commit: "on", full_page_writes: "on" },
    });
    server = await startServer({ env: { BERTH_DATABASE_URL: cluster.url, BERTH_SECRET: secret } });
  }, 120_000);
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await cluster?.stop();
  });

  test("is away: every request is told so, and when to come again; then all goes on by itself", async () => {
    const { cluster: database, registry, server: berth } = running();
    const image = await pushImage(registry, "acme/away", { tag: "v1" });
    const [layer] = image.layers;
    const body = indexBytes([], { annotations: { id: randomText() } });
    const requests: readonly (() => Promise<Answer>)[] = [
      () => registry.send("GET", "/v2/"),
      () => registry.send("GET", "/v2/acme/away/manifests/v1"),
      () => registry.send("GET", `/v2/acme/away/blobs/${layer?.digest ?? ""}`),
      () => registry.send("POST", "/v2/acme/away/blobs/uploads/", { body: "" }),
      () => registry.send("PUT", "/v2/acme/away/manifests/v2", { headers: { "Content-Type": mediaTypes.index }, body }),
      () => registry.send("DELETE", "/v2/acme/away/manifests/v1"),
      () => registry.send("GET", "/v2/acme/away/tags/list"),
    ];
    await database.crash();
    const until = performance.now() + awaySeconds * 1000;
    do {
      for (const answer of await Promise.all(requests.map((send) => send()))) {
        // The base needs no database for an account that has just signed in.
        if (answer.status !== 200) expectUnavailable(answer);
      }
      expect((await fetch(new URL("/healthz", berth.url))).status).toBe(200);
      await Bun.sleep(200);
    } while (performance.now() < until);
    const ready = async (): Promise<Response> => fetch(new URL("/readyz", berth.url));
    await waitFor(async () => (await ready()).status === 503);
    expect(await (await ready()).text()).toContain("database");
    await database.start();
    const back = performance.now();
    await waitFor(async () => (await requests[1]?.())?.status === 200);
    await waitFor(async () => (await ready()).status === 200);
    expect(performance.now() - back).toBeLessThan(backWithinMs);
    const statuses: number[] = [];
    for (const send of requests) statuses.push((await send()).status);
    expect(statuses).toEqual([200, 200, 200, 202, 201, 202, 200]);
  }, 120_000);

  test("crashes in the middle of pushes, three times: nothing acknowledged is lost, and no answer is a 500", async () => {
    const { cluster: database, registry } = running();
    for (let round = 1; round <= 3; round++) {
      const clients = await startLoad(registry, `acme/crash-${String(round)}`);
      await waitFor(() => Promise.resolve(clients.acknowledged() >= 12));
      await Bun.sleep(Math.random() * 500);
      await database.crash();
      await clients.ended();
      await database.start();
      await waitFor(async () => (await registry.send("GET", "/v2/acme/away/tags/list")).status === 200);
      expect(await clients.judge()).toEqual([]);
    }
  }, 240_000);

  test("loses its connections in the middle of commits: asking again is safe", async () => {
    const { registry } = running();
    const admin = new Client({ connectionString: running().cluster.url });
    await admin.connect();
    const over = new AbortController();
    const terminate = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where pid <> pg_backend_pid() and state <> 'idle' and application_name <> 'holder'`,
        );
        await Bun.sleep(30);
      }
    };
    const terminating = terminate();
    const refused: Answer[] = [];
    const push = async (tag: string): Promise<void> => {
      const body = indexBytes([], { annotations: { id: randomText() } });
      for (let tries = 1; ; tries++) {
        const answer = await registry.send("PUT", `/v2/acme/cut/manifests/${tag}`, {
          headers: { "Content-Type": mediaTypes.index },
          body,
        });
        if (answer.status === 201) return expect(answer.header("docker-content-digest")).toBe(digestOf(body));
        expectUnavailable(answer);
        refused.push(answer);
        if (tries === 2000) throw new Error("no push gets through");
      }
    };
    const pushed: string[] = [];
    while (pushed.length < 40) {
      const tags = Array.from({ length: 4 }, (_, at) => `v${String(pushed.length + at)}`);
      await Promise.all(tags.map(push));
      pushed.push(...tags);
    }
    // One that stands in the middle of its transaction when the connection goes.
    const holder = new Client({ connectionString: running().cluster.url, application_name: "holder" });
    await holder.connect();
    await holder.query("begin");
    await holder.query("lock table tags in exclusive mode");
    const waiting = push("held");
    pushed.push("held");
    await waitFor(() => Promise.resolve(refused.length > 0));
    await holder.query("rollback");
    await holder.end();
    await waiting;
    over.abort();
    await terminating;
    await admin.end();
    const list = await waitForAnswer(() => registry.send("GET", "/v2/acme/cut/tags/list?n=1000"));
    expect((list.json() as { tags: readonly string[] }).tags.toSorted()).toEqual(pushed.toSorted());
    expect(refused.length).toBeGreaterThan(0);
  }, 120_000);

  test("gives no connection: those who wait are told to come again, and those who have one go on", async () => {
    const { registry, cluster: database } = running();
    await pushImage(registry, "acme/locked", { tag: "v0" });
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("lock table manifests in access exclusive mode");
    let answered = 0;
    const pushes = Array.from({ length: 40 }, async (_, at) => {
      const body = indexBytes([], { annotations: { id: randomText() } });
      const answer = await registry.send("PUT", `/v2/acme/locked/manifests/w${String(at)}`, {
        headers: { "Content-Type": mediaTypes.index },
        body,
      });
      answered += 1;
      return answer;
    });
    await waitFor(() => Promise.resolve(answered >= 20));
    await holder.query("rollback");
    await holder.end();
    const answers = await Promise.all(pushes);
    const refused = answers.filter(({ status }) => status !== 201);
    for (const answer of refused) expectUnavailable(answer);
    expect(refused.length).toBeGreaterThanOrEqual(20);
    expect(answers.length - refused.length).toBeGreaterThan(0);
  }, 120_000);

  test("takes too long for a statement: 503, and the connection is good for the next", async () => {
    const { cluster: database } = running();
    const url = new URL(database.url);
    url.searchParams.set("statement_timeout", "1000");
    await using slow = await startServer({ env: { BERTH_DATABASE_URL: url.href, BERTH_SECRET: secret } });
    const registry = registryOf(slow);
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("lock table tags in access exclusive mode");
    const answer = await registry.send("GET", "/v2/acme/away/tags/list");
    expectUnavailable(answer);
    expect(problemsOf(answer)[0]?.message).toContain("too long");
    await holder.query("rollback");
    await holder.end();
    expect((await registry.send("GET", "/v2/acme/away/tags/list")).status).toBe(200);
  }, 120_000);

  test("gives up one of two transactions: that one runs again, and not for ever", async () => {
    const database = await openDatabase({ url: running().cluster.url });
    try {
      let runs = 0;
      const failing = (most: number) =>
        database.write(async (tx) => {
          runs += 1;
          if (runs <= most) await sql`do $$ begin raise exception 'chosen' using errcode = '40P01'; end $$`.execute(tx);
          return runs;
        });
      expect(await failing(3)).toBe(4);
      runs = 0;
      const [outcome] = await Promise.allSettled([failing(1000)]);
      expect([outcome.status, runs]).toEqual(["rejected", 10]);
      if (outcome.status === "rejected") expect(storageProblem(outcome.reason)?.code).toBe("UNAVAILABLE");
    } finally {
      await database.close();
    }
  }, 60_000);

  test("and through all of it the server was the same, and nothing in its log is a bug", async () => {
    const { server: berth } = running();
    await berth.logged();
    const bugs = berth
      .log()
      .filter(({ event, msg }) => /request failed|uncaught|unhandled/i.test(`${event} ${String(msg)}`));
    expect(bugs).toEqual([]);
    expect(berth.requests().filter(({ status }) => status === 500)).toEqual([]);
  }, 60_000);
});

/** 503 in the protocol's form, with a time to come again that no client gives up over. */
function expectUnavailable(answer: Answer): void {
  const after = Number(answer.header("retry-after"));
  expect([answer.status, problemsOf(answer)[0]?.code, after >= 1 && after < 5]).toEqual([503, "UNAVAILABLE", true]);
}

async function waitFor(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error("it did not come to that within a minute");
    await Bun.sleep(50);
  }
}

async function waitForAnswer(send: () => Promise<Answer>): Promise<Answer> {
  let answer = await send();
  await waitFor(async () => {
    if (answer.status !== 200) answer = await send();
    return answer.status === 200;
  });
  return answer;
}

interface RunningLoad {
  /** Each client ends with its first refusal. */
  ended(): Promise<void>;
  judge(): Promise<readonly string[]>;
  acknowledged(): number;
}

async function startLoad(registry: Registry, name: string): Promise<RunningLoad> {
  const bytes = randomBytes(1000);
  const source = { repository: `${name}-source`, digest: digestOf(bytes) };
  const put = await registry.send("POST", `/v2/${source.repository}/blobs/uploads/?digest=${source.digest}`, {
    body: bytes,
  });
  expect(put.status).toBe(201);
  const clients: readonly LoadClient[] = Array.from({ length: 4 }, (_, at) =>
    loadClient(`${name}-c${String(at)}`, source, { mayRefuse: true }),
  );
  const runs = clients.map((client) => client.run(registry, () => false));
  return {
    async ended() {
      await Promise.all(runs);
    },
    async judge() {
      const found = clients.map(async (client) => [
        ...client.problems(),
        ...(await judgeRepository(registry, client.repository, { ...client.between(), lost: "database" })),
        ...(await client.judgeLists(registry)),
      ]);
      return (await Promise.all(found)).flat();
    },
    acknowledged: () =>
      clients.flatMap((client) => [...client.acknowledged.values()]).reduce((sum, one) => sum + one, 0),
  };
}
