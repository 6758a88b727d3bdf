import { expect, it } from "bun:test";
import { resolve } from "node:path";
import { expectRefused, freshName, password, useApi } from "./api/checked-api.ts";
import { pushImage, pushIndex } from "./protocol/content.ts";
import { basic } from "./protocol/registry-client.ts";
import { describeEachDatabase } from "./support/databases.ts";
import { startServer, withoutSettings } from "./support/server.ts";
import { until } from "./support/workers.ts";

interface Usage {
  readonly day: string;
  readonly kind: string;
  readonly account: string;
  readonly token?: string;
  readonly repository: string;
  readonly pulls: number;
  readonly pulledBytes: number;
  readonly pushes: number;
  readonly pushedBytes: number;
}

const berth = resolve(import.meta.dir, "../bin/berth");

describeEachDatabase("the usage of a server", (dialect) => {
  const api = useApi({ dialect });

  it("is counted by account, token and repository, whether an answer is from memory or not", async () => {
    const { registry } = api;
    const name = freshName("user");
    await api.ask("POST", "/accounts", { json: { name, password } });
    const repository = `library/${freshName("app")}`;
    const image = await pushImage(registry, repository, { tag: "v1" });
    const index = await pushIndex(registry, repository, { tag: "all", manifests: [image.descriptor] });
    const made = await api.ask("POST", "/tokens", {
      as: [name, password],
      json: { name: "ci", scopes: ["library/**:read"] },
    });
    const { id, token: secret } = made.json() as { readonly id: string; readonly token: string };
    const ways = [registry.as(basic(name, password)), registry.as(basic(name, secret)), registry.as(undefined)];
    const layer = image.layers[0];
    for (const way of ways) {
      for (let round = 0; round < 3; round++) {
        expect((await way.send("GET", `/v2/${repository}/manifests/v1`)).status).toBe(200);
      }
      await way.send("HEAD", `/v2/${repository}/manifests/v1`);
      await way.send("GET", `/v2/${repository}/manifests/all`);
      await way.send("GET", `/v2/${repository}/manifests/none`);
      await way.send("GET", `/v2/${repository}/blobs/${layer?.digest ?? ""}`);
      await way.send("GET", `/v2/${repository}/blobs/${layer?.digest ?? ""}`, { headers: { Range: "bytes=0-9" } });
    }
    const asked = `/usage?repository=${encodeURIComponent(repository)}`;
    const list = async (more = "") =>
      ((await api.ask("GET", asked + more)).json() as { readonly items: readonly Usage[] }).items;
    const pulledBytes = 3 * image.bytes.length + index.bytes.length + (layer?.size ?? 0) + 10;
    let rows: readonly Usage[] = [];
    await until("all of it is written", async () => {
      rows = await list();
      const written = rows.reduce((sum, row) => sum + row.pulledBytes, 0);
      return written === ways.length * pulledBytes && rows.some(({ pushes }) => pushes === 2);
    });
    expect(rows).toHaveLength(4);
    const pulled = { repository, pulls: 3, pulledBytes, pushes: 0, pushedBytes: 0 };
    expect(rows.find(({ account, token }) => account === name && token === undefined)).toMatchObject(pulled);
    expect(rows.find(({ token }) => token === id)).toMatchObject({ ...pulled, kind: "account", account: name });
    expect(rows.find(({ kind }) => kind === "anonymous")).toMatchObject({ ...pulled, account: "anonymous" });
    const pushedBytes = image.config.size + (layer?.size ?? 0) + image.bytes.length + index.bytes.length;
    expect(rows.find(({ account }) => account === "admin")).toMatchObject({ pulls: 0, pushes: 2, pushedBytes });
    expect((await list(`&token=${id}`)).map(({ account }) => account)).toEqual([name]);
    expect(await list(`&account=${name}`)).toHaveLength(2);
    expect(await list("&until=2020-01-01")).toEqual([]);

    const csv = await api.ask("GET", `/usage.csv?repository=${encodeURIComponent(repository)}`);
    const lines = csv.text.split("\r\n");
    expect(lines[0]).toBe("day,kind,account,token,repository,pulls,pulledBytes,pushes,pushedBytes");
    expect(lines).toContain(`${rows[0]?.day ?? ""},account,${name},${id},${repository},3,${pulledBytes},0,0`);
    expect(lines).toHaveLength(6);
  }, 90_000);

  it("is shown to who reads the log, and to nobody else", async () => {
    const name = freshName("curious");
    await api.ask("POST", "/accounts", { json: { name, password } });
    for (const path of ["/usage", "/usage.csv"]) {
      expectRefused(await api.ask("GET", path, { as: [name, password] }), 403, "DENIED");
      expectRefused(await api.ask("GET", path, { as: null }), 401, "UNAUTHORIZED");
    }
    for (const query of ["after=x", "since=yesterday", "limit=0", "everything=1"]) {
      expectRefused(await api.ask("GET", `/usage?${query}`), 400, "INPUT_INVALID");
    }
  });
});

it("is written at a stop, and read by the command line", async () => {
  await using server = await startServer();
  const { admin, url, data } = server;
  const authorization = basic(admin.username, admin.password);
  const started = await fetch(new URL("/v2/team/app/blobs/uploads/", url), {
    method: "POST",
    headers: { authorization },
  });
  const location = new URL(started.headers.get("location") ?? "", url);
  expect((await fetch(location, { method: "PATCH", headers: { authorization }, body: "12345" })).status).toBe(202);
  expect(await server.stop()).toBe(0);
  const run = async (...more: readonly string[]): Promise<string> => {
    const child = Bun.spawn([berth, "usage", "--data", data, ...more], {
      env: withoutSettings(process.env),
      stdout: "pipe",
      stderr: "inherit",
    });
    expect(await child.exited).toBe(0);
    return new Response(child.stdout).text();
  };
  expect(JSON.parse(await run("--json"))).toMatchObject({ account: "admin", repository: "team/app", pushedBytes: 5 });
  expect(await run("--csv", "--account", "admin")).toMatch(
    /^day,kind,account,token,.*\r\n\d{4}-\d\d-\d\d,account,admin,,team\/app,0,0,0,5\r\n$/,
  );
  expect(await run("--repository", "team/none")).toBe("");
});
