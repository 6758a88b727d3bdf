import { describe, expect, it } from "bun:test";
import { resolve } from "node:path";
import { type Api, freshName, password, useApi } from "./api/checked-api.ts";
import { pushBlob } from "./protocol/content.ts";
import { basic } from "./protocol/registry-client.ts";
import { describeEachDatabase } from "./support/databases.ts";
import { withoutSettings } from "./support/server.ts";
import { until } from "./support/workers.ts";

const berth = resolve(import.meta.dir, "../bin/berth");

interface Entry {
  readonly id: number;
  readonly at: string;
  readonly action: string;
  readonly outcome: string;
  readonly actor: { readonly kind: string; readonly id?: string; readonly name: string };
  readonly address?: string;
  readonly requestId?: string;
  readonly target?: string;
  readonly times: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

interface Page {
  readonly items: readonly Entry[];
  readonly next?: string;
}

function searching(api: Api) {
  const search = async (query: string): Promise<Page> => (await api.ask("GET", `/audit?${query}`)).json() as Page;
  const waitFor = async (query: string): Promise<Entry> => {
    let found: Entry | undefined;
    await until(`there is an entry ${query}`, async () => {
      found = (await search(query)).items[0];
      return found !== undefined;
    });
    if (found === undefined) throw new Error("until has waited for it");
    return found;
  };

  return { search, waitFor };
}

describeEachDatabase("the audit log of a server", (dialect) => {
  const api = useApi({ dialect });
  const { search, waitFor } = searching(api);
  it("tells who has pushed what, from where and by which request", async () => {
    const name = freshName("pusher");
    await api.ask("POST", "/accounts", { json: { name, password } });
    const repository = `${name}/app`;
    const digest = await pushBlob(api.registry.as(basic(name, password)), repository, Buffer.from("content"));
    const entry = await waitFor(`action=blob-added&repository=${encodeURIComponent(repository)}`);
    expect(entry).toMatchObject({ actor: { kind: "account", name }, target: digest, outcome: "done", times: 1 });
    const request = api.registry
      .server()
      .requests()
      .find(({ requestId }) => requestId === entry.requestId);
    expect(request).toMatchObject({ principal: name, status: 201, remoteAddress: entry.address ?? "" });
    expect((await search(`requestId=${entry.requestId ?? ""}`)).items).toContainEqual(entry);
    expect((await search(`actor=${name}&until=${entry.at}`)).items).not.toContainEqual(entry);
  });

  it("tells changes of accounts with before and after, and no secret", async () => {
    const name = freshName("changed");
    await api.ask("POST", "/accounts", { json: { name, password } });
    await api.ask("PATCH", `/accounts/${name}`, { json: { disabled: true }, headers: { "if-match": "*" } });
    const changed = await waitFor(`action=account-changed&actor=admin`);
    expect(changed.target).toBe(name);
    expect(changed.detail).toMatchObject({ before: { disabled: false }, after: { disabled: true } });
    const { items } = await search("action=account-created");
    expect(items.map(({ target }) => target)).toContain(name);
    expect(JSON.stringify(items)).not.toContain("argon2");
    expect(JSON.stringify(items)).not.toContain(password);
  });

  it("is read page by page, by those who may, and written to by nobody", async () => {
    const name = freshName("reader");
    await api.ask("POST", "/accounts", { json: { name, password } });
    await waitFor("action=account-created");
    const first = await search("limit=1");
    const second = await search(`limit=1&after=${first.next ?? ""}`);
    expect(second.items[0]?.id).toBeLessThan(first.items[0]?.id ?? 0);
    expect((await api.ask("GET", "/audit", { as: [name, password] })).status).toBe(403);
    expect((await api.ask("GET", "/audit", { as: null })).status).toBe(401);
    for (const wrong of ["after=x", "since=yesterday", "outcome=maybe", "limit=0", "unknown=1"]) {
      expect((await api.ask("GET", `/audit?${wrong}`)).status, wrong).toBe(400);
    }
    const operations = (await api.operations()).filter(({ path }) => path.startsWith("/audit"));
    expect([...new Set(operations.map(({ method }) => method))]).toEqual(["GET"]);
  });
});

describe("berth audit", () => {
  const api = useApi();
  const { waitFor } = searching(api);

  it("is listed on the data folder too, and tells who has worked there", async () => {
    const name = freshName("local");
    const { data } = api.registry.server();
    const env = withoutSettings(process.env);
    const run = (args: readonly string[], input = ""): string =>
      Bun.spawnSync([berth, ...args, "--data", data], { env, stdin: Buffer.from(input) }).stdout.toString();
    run(["user", "create", name], `${password}\n`);
    const entry = await waitFor("action=account-created&limit=1");
    expect(entry).toMatchObject({ actor: { kind: "operator" }, target: name });
    const listed = run(["audit", "list", "--action", "account-created", "--limit", "1", "--json"]);
    expect(JSON.parse(listed)).toEqual(entry);
    expect(run(["audit", "list", "--limit", "1"]).split("\n")).toHaveLength(2);
  });
});
