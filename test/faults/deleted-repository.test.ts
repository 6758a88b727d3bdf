import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import type { Database } from "../../src/platform/database/database.ts";
import { openDatabase } from "../../src/platform/database/open-database.ts";
import { type PushedImage, pushImage } from "../protocol/content.ts";
import { basic, type Registry, registryOf } from "../protocol/registry-client.ts";
import { createTestDatabase, describeEachDatabase } from "../support/databases.ts";
import { startServer, type TestServer } from "../support/server.ts";

const [app, other] = ["acme/app", "acme/other"];
const ann = basic("ann", "a password that is long");

/** @param request method and path below `/api/v1` */
async function ask(server: TestServer, request: string, json?: object): Promise<void> {
  const [method = "", path = ""] = request.split(" ");
  const call = json && { headers: { "content-type": "application/json" }, body: JSON.stringify(json) };
  const answer = await registryOf(server).send(method, `/api/v1${path}`, call);
  if (answer.status >= 300) throw new Error(`${request}: ${String(answer.status)} ${answer.text}`);
}

const statusesOf = async (who: Registry, name: string, { digest, config, layers }: PushedImage) =>
  Promise.all([
    ...["old", digest].map(async (of) => (await who.send("HEAD", `/v2/${name}/manifests/${of}`)).status),
    ...[config, ...layers].map(async (of) => (await who.send("HEAD", `/v2/${name}/blobs/${of.digest}`)).status),
  ]);

/** Whatever the collector comes to, it comes to soon. */
const eager = { BERTH_COLLECT_INTERVAL_SECONDS: "1" };

/** A server that is killed again and again. */
describeEachDatabase("a repository whose deletion is cut by a kill", (dialect) => {
  const used = new AsyncDisposableStack();
  let database: Database;
  let start: () => Promise<TestServer>;

  beforeAll(async () => {
    const stored = used.use(await createTestDatabase(dialect));
    const data = await mkdtemp(join(tmpdir(), "berth-deleted-"));
    used.defer(() => rm(data, { recursive: true, force: true }));
    const env = { ...eager, BERTH_DATABASE_URL: stored.url, BERTH_SECRET: "the same secret after every start of it" };
    let running: TestServer | undefined;
    used.defer(async () => void (await running?.stop("SIGKILL")));
    start = async () => (running = await startServer({ data, env }));
    const server = await start();
    database = await openDatabase({ url: stored.url });
    used.defer(() => database.close());
    await ask(server, "POST /accounts", { name: "ann", password: "a password that is long" });
    await server.stop("SIGKILL");
  }, 120_000);
  afterAll(() => used.disposeAsync());

  /** What the collector has still to remove of the repository, before what is refused to it here, and that. */
  const left = async (id: number): Promise<readonly number[]> => {
    const { rows } = await sql<{ doomed: number; members: number; tags: number }>`
      select (select count(*) from doomed_repositories where id = ${id}) as doomed,
        (select count(*) from repository_manifests where repository_id = ${id})
          + (select count(*) from repository_blobs where repository_id = ${id}) as members,
        (select count(*) from tags where repository_id = ${id}) as tags`.execute(database.read);
    return rows.flatMap(({ doomed, members, tags }) => [doomed, members, tags].map(Number));
  };
  const waitFor = async (id: number, state: readonly number[]): Promise<void> => {
    for (const deadline = Date.now() + 120_000; ; await Bun.sleep(50)) {
      const now = await left(id);
      if (now.join() === state.join()) return;
      if (Date.now() > deadline) throw new Error(`what is left stays at ${now.join()}, not ${state.join()}`);
    }
  };
  const idOfApp = async (): Promise<number> =>
    (await database.read.selectFrom("repositories").select("id").where("name", "=", app).executeTakeFirstOrThrow()).id;

  /** Every collection fails at its last step on a repository, and keeps what it has done before. */
  async function keepTags(): Promise<void> {
    await database.write(async (tx) => {
      if (dialect === "sqlite") {
        await sql`create trigger kept before delete on tags begin select raise(abort, 'kept'); end`.execute(tx);
      } else {
        await sql`create function kept() returns trigger language plpgsql as
          'begin raise exception ''kept''; end'`.execute(tx);
        await sql`create trigger kept before delete on tags for each row execute function kept()`.execute(tx);
      }
    });
  }
  const keepTagsNoMore = (): Promise<unknown> =>
    database.write((tx) =>
      (dialect === "postgres" ? sql`drop trigger kept on tags` : sql`drop trigger kept`).execute(tx),
    );

  it("ends with the next start; nothing is revived, nor in one of its name, and others keep what they share", async () => {
    let server = await start();
    const old = await pushImage(registryOf(server), app, { tag: "old" });
    // The same bytes, of which a repository that stays has its own.
    const layers = await Promise.all(old.layers.map(async (layer) => ({ ...layer })));
    for (const { digest } of layers) {
      const mounted = await registryOf(server).send("POST", `/v2/${other}/blobs/uploads/?mount=${digest}&from=${app}`);
      expect(mounted.status).toBe(201);
    }
    const shared = await pushImage(registryOf(server), other, { tag: "old", layers });
    const grant = { role: "guest", to: { kind: "account", name: "ann" }, on: { kind: "repository", name: app } };
    await ask(server, "POST /grants", grant);
    expect(await statusesOf(registryOf(server).as(ann), app, old)).toEqual([200, 200, 200, 200]);
    const id = await idOfApp();

    await keepTags();
    await ask(server, `DELETE /repositories/${encodeURIComponent(app)}`);
    await waitFor(id, [1, 0, 1]);
    await server.stop("SIGKILL");

    server = await start();
    expect(await statusesOf(registryOf(server), app, old)).toEqual([404, 404, 404, 404]);
    const next = await pushImage(registryOf(server), app, { tag: "new" });
    expect(await idOfApp()).not.toBe(id);
    await server.stop("SIGKILL");
    expect(await left(id)).toEqual([1, 0, 1]);

    await keepTagsNoMore();
    server = await start();
    await waitFor(id, [0, 0, 0]);
    const admin = registryOf(server);
    expect(await statusesOf(admin, app, old)).toEqual([404, 404, 404, 404]);
    expect((await admin.send("GET", `/v2/${app}/tags/list`)).json()).toEqual({ name: app, tags: ["new"] });
    expect((await statusesOf(admin, app, next)).slice(1)).toEqual([200, 200, 200]);
    expect(await statusesOf(admin, other, shared)).toEqual([200, 200, 200, 200]);
    expect((await admin.as(ann).send("HEAD", `/v2/${app}/manifests/new`)).status).not.toBe(200);
    await server.stop("SIGKILL");
  }, 300_000);
});
