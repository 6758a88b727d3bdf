import { describe, expect, it } from "bun:test";
import { userInfo } from "node:os";
import { resolve } from "node:path";
import { type Api, freshName, password, problemIn, useApi } from "./api/checked-api.ts";
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
    await api.registry.server().logged();
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

  it("tells who was denied what by which rule, whichever of the requests one asks about", async () => {
    const name = freshName("stranger");
    await api.ask("POST", "/accounts", { json: { name, password } });
    const stranger = api.registry.as(basic(name, password));
    for (let number = 0; number < 3; number++) {
      expect((await stranger.send("POST", "/v2/other/app/blobs/uploads/")).status).toBe(403);
    }
    const denied = await waitFor(`action=denied&actor=${name}&repository=other%2Fapp`);
    expect(denied).toMatchObject({ outcome: "refused", actor: { name }, address: "127.0.0.1" });
    expect(denied.detail).toMatchObject({
      rule: "no-right",
      missing: expect.stringContaining("the role developer has"),
      method: "POST",
    });
    const refused = await api.ask("GET", "/audit", { as: [name, password] });
    expect(refused.text).not.toContain("log:read");
    const { requestId } = problemIn(refused);
    expect(await waitFor(`requestId=${requestId}`)).toMatchObject({
      actor: { name },
      detail: { path: "/api/v1/audit", missing: expect.stringContaining("log:read") },
    });
    await api.registry.server().logged();
    const requests = api.registry.server().requests();
    const denials = requests.filter(({ principal, status }) => principal === name && status === 403);
    expect(denials.length).toBeGreaterThanOrEqual(4);
    for (const request of denials) {
      expect(await waitFor(`requestId=${String(request["requestId"])}`)).toMatchObject({ action: "denied" });
    }
  });

  it("tells sign-ins, those that were refused, and bad tokens, and keeps what nobody is called to itself", async () => {
    const name = freshName("sign-in");
    await api.ask("POST", "/accounts", { json: { name, password } });
    const answer = await api.registry.as(basic(name, password)).send("GET", "/v2/");
    expect(await waitFor(`action=sign-in&actor=${name}`)).toMatchObject({
      outcome: "done",
      address: "127.0.0.1",
      requestId: answer.header("x-request-id"),
    });
    await api.registry.as(basic(name, "not the password")).send("GET", "/v2/");
    await api.registry.as(basic("my-secret-password", "not the password")).send("GET", "/v2/");
    await api.registry.as("Bearer nonsense").send("GET", "/v2/");
    await api.registry.as(basic(name, "berth_pat_nonsense")).send("GET", "/v2/");
    await until("two kinds of tokens are told", async () => (await search("action=token-refused")).items.length === 2);
    await until("both are told", async () => (await search("action=sign-in&outcome=refused")).items.length >= 2);
    const { items } = await search("action=sign-in&outcome=refused");
    expect(items.map(({ target }) => target)).toContain(name);
    expect(JSON.stringify(items)).not.toContain("my-secret-password");
  });

  it("tells who has begun a session, and who was not let in, by the request that asked", async () => {
    const name = freshName("session");
    await api.ask("POST", "/accounts", { json: { name, password } });
    for (const [given, outcome] of [
      ["not the password", "refused"],
      [password, "done"],
    ]) {
      const answer = await api.ask("POST", "/session", { json: { name, password: given } });
      const entry = await waitFor(`requestId=${answer.header("x-request-id") ?? "none"}`);
      expect(entry).toMatchObject({ action: "sign-in", outcome });
    }
  });

  it("is read page by page, by those who may, and written to by nobody", async () => {
    const name = freshName("reader");
    await api.ask("POST", "/accounts", { json: { name, password } });
    await waitFor("action=account-created");
    const first = await search("limit=1");
    const second = await search(`limit=1&after=${first.next ?? ""}`);
    // What is noted beside changes is written later than it happened: the order is that of the times.
    const [[newest], [next]] = [first.items, second.items];
    expect(Date.parse(next?.at ?? "")).toBeLessThanOrEqual(Date.parse(newest?.at ?? ""));
    expect(next?.id).not.toBe(newest?.id);
    expect((await api.ask("GET", "/audit", { as: [name, password] })).status).toBe(403);
    expect((await api.ask("GET", "/audit", { as: null })).status).toBe(401);
    for (const wrong of ["after=x", "since=yesterday", "outcome=maybe", "limit=0", "unknown=1"]) {
      expect((await api.ask("GET", `/audit?${wrong}`)).status, wrong).toBe(400);
    }
    for (const path of ["/audit/export", "/audit/verification"]) {
      expect((await api.ask("GET", path, { as: [name, password] })).status).toBe(403);
      expect((await api.ask("GET", path, { as: null })).status).toBe(401);
    }
    const operations = (await api.operations()).filter(({ path }) => path.startsWith("/audit"));
    expect([...new Set(operations.map(({ method }) => method))]).toEqual(["GET"]);
  });
});

const idsOf = (out: Buffer | string): readonly number[] =>
  out
    .toString()
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as Entry).id);

describe("berth audit", () => {
  const api = useApi({ env: { BERTH_AUDIT_SEAL_SECONDS: "1" } });
  const { waitFor } = searching(api);

  it("is listed on the data folder too, and tells who has worked there", async () => {
    const name = freshName("local");
    const { data } = api.registry.server();
    const env = withoutSettings(process.env);
    const run = (args: readonly string[], input = ""): string =>
      Bun.spawnSync([berth, ...args, "--data", data], { env, stdin: Buffer.from(input) }).stdout.toString();
    run(["user", "create", name], `${password}\n`);
    const { username } = userInfo();
    const entry = await waitFor(`action=account-created&limit=1&actor=${username}`);
    expect(entry).toMatchObject({ actor: { kind: "operator" }, target: name });
    const listed = run(["audit", "list", "--action", "account-created", "--actor", username, "--json"]);
    expect(JSON.parse(listed)).toEqual(entry);
    expect(run(["audit", "list", "--limit", "1"]).split("\n")).toHaveLength(2);
  });

  it("proves beside the server that nobody has changed what was sealed", async () => {
    await api.ask("POST", "/accounts", { json: { name: freshName("sealed"), password } });
    const { data } = api.registry.server();
    const verify = (...args: readonly string[]) => {
      const command = [berth, "audit", "verify", "--data", data, ...args];
      const ran = Bun.spawnSync(command, { env: withoutSettings(process.env) });
      return { code: ran.exitCode, out: ran.stdout.toString(), error: ran.stderr.toString() };
    };
    let head = "0:";
    await until("something is sealed", () => {
      ({ head } = JSON.parse(verify("--json").out) as { readonly head: string });
      return !head.startsWith("0:");
    });
    expect(verify("--head", head)).toMatchObject({ code: 0, out: expect.stringContaining(": 0 faults\nhead ") });
    const other = `${head.slice(0, -1)}${head.endsWith("0") ? "1" : "0"}`;
    expect(verify("--head", head, other)).toMatchObject({ code: 1, out: expect.stringContaining("unknown-head") });
    expect(verify("--head", "nonsense")).toMatchObject({ code: 2, error: "berth: --head: nonsense is no head\n" });
  });

  it("exports every entry once, the oldest first, also to one who goes on behind the last", async () => {
    await api.ask("POST", "/accounts", { json: { name: freshName("exported"), password } });
    await waitFor("action=account-created&limit=1");
    const run = (...args: readonly string[]) =>
      Bun.spawnSync([berth, "audit", "export", "--data", api.registry.server().data, ...args], {
        env: withoutSettings(process.env),
      });
    const all = idsOf(run().stdout);
    expect(all).toEqual(Array.from({ length: all.length }, (_, index) => index + 1));
    expect(idsOf(run("--after", "2").stdout).slice(0, 2)).toEqual([3, 4]);
    expect(run("--after", "x").exitCode).toBe(2);
  });

  it("is exported and verified over HTTP too", async () => {
    await api.ask("POST", "/accounts", { json: { name: freshName("remote"), password } });
    await waitFor("action=account-created&limit=1");
    const all = await api.ask("GET", "/audit/export");
    const ids = idsOf(all.text);
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, index) => index + 1));
    expect(idsOf((await api.ask("GET", "/audit/export?after=2&most=3")).text)).toEqual([3, 4, 5]);
    expect((await api.ask("GET", `/audit/export?after=${String(ids.length + 1000)}`)).text).toBe("");
    expect((await api.ask("GET", "/audit/export?after=-1")).status).toBe(400);
    const verify = async (query = "") =>
      (await api.ask("GET", `/audit/verification${query}`)).json() as {
        readonly entries: number;
        readonly faultCount: number;
        readonly faults: readonly { readonly kind: string }[];
        readonly head: { readonly number: number; readonly digest: string };
      };
    await until("something is sealed", async () => (await verify()).head.number > 0);
    const { head, faults, faultCount, entries } = await verify();
    expect([faults, faultCount]).toEqual([[], 0]);
    expect(entries).toBeGreaterThanOrEqual(ids.length);
    const known = `${String(head.number)}:${head.digest}`;
    expect((await verify(`?heads=${known}`)).faultCount).toBe(0);
    const other = `${known.slice(0, -1)}${known.endsWith("0") ? "1" : "0"}`;
    expect((await verify(`?heads=${known},${other}`)).faults).toMatchObject([{ kind: "unknown-head" }]);
    expect((await api.ask("GET", "/audit/verification?heads=nonsense")).status).toBe(400);
  });
});
