import { expect, it } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { type Answer, basic } from "../protocol/registry-client.ts";
import { type Api, expectRefused, freshName, password, problemIn, useApi } from "./checked-api.ts";

interface Account {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly email?: string;
  readonly disabled: boolean;
  readonly revision: number;
}

const create = async (api: Api, name = freshName()): Promise<Account> =>
  (await api.ask("POST", "/accounts", { json: { name, password } })).json() as Account;

const mayEnter = async (api: Api, name: string, secret: string): Promise<boolean> =>
  (await api.registry.as(basic(name, secret)).send("GET", "/v2/")).status === 200;

const keyed = (api: Api, name: string, key: string): Promise<Answer> =>
  api.ask("POST", "/accounts", { json: { name, password }, headers: { "idempotency-key": key } });

describeEachDatabase("accounts over the API", (dialect) => {
  const api = useApi({ dialect });

  it("are made, shown, listed by pages, changed and deleted", async () => {
    const name = freshName("life");
    const body = { name: name.toUpperCase(), password, displayName: "Bob Ä. <b>", email: "bob@example.org" };
    const made = await api.ask("POST", "/accounts", { json: body });
    expect([made.status, made.header("location"), made.header("etag")]).toEqual([
      201,
      `/api/v1/accounts/${name}`,
      '"1"',
    ]);
    expect(made.json()).toMatchObject({ name, displayName: "Bob Ä. <b>", email: "bob@example.org", disabled: false });
    expect(made.text).not.toContain("argon2");
    expect(await mayEnter(api, name, password)).toBe(true);

    const shown = await api.ask("GET", `/accounts/${name}`);
    expect(shown.json()).toEqual(made.json());
    expect((await api.ask("HEAD", `/accounts/${name}`)).header("etag")).toBe('"1"');

    const changed = await api.ask("PATCH", `/accounts/${name}`, {
      json: { displayName: "", email: null },
      headers: { "if-match": '"1"' },
    });
    expect([changed.status, changed.header("etag")]).toEqual([200, '"2"']);
    expect(changed.json()).toMatchObject({ displayName: "", revision: 2 });
    expect(changed.text).not.toContain("email");

    const preview = await api.ask("DELETE", `/accounts/${name}?dryRun=true`);
    expect(preview.json()).toEqual({ dryRun: true, removes: [{ kind: "account", name, count: 1 }] });
    expect((await api.ask("GET", `/accounts/${name}`)).status).toBe(200);
    const deleted = await api.ask("DELETE", `/accounts/${name}`);
    expect(deleted.json()).toEqual({ dryRun: false, removes: [{ kind: "account", name, count: 1 }] });
    expectRefused(await api.ask("GET", `/accounts/${name}`), 404, "OBJECT_UNKNOWN");
    expectRefused(await api.ask("DELETE", `/accounts/${name}`), 404, "OBJECT_UNKNOWN");
  });

  it("are listed by name, a page behind the other, and by how they begin", async () => {
    const prefix = `${freshName("list")}_`;
    const names = ["a", "b%", "c", "d", "e"].map((letter) => `${prefix}${letter.replace("%", "")}`);
    for (const name of names) await create(api, name);
    // None of these is a pattern: `_` is that sign alone.
    await create(api, `${prefix.slice(0, -1)}xa`);
    const pages: string[][] = [];
    for (let after: string | undefined = ""; after !== undefined;) {
      const page = await api.ask("GET", `/accounts?prefix=${prefix}&limit=2${after === "" ? "" : `&after=${after}`}`);
      const { items, next } = page.json() as { readonly items: readonly Account[]; readonly next?: string };
      pages.push(items.map(({ name }) => name));
      after = next;
    }
    expect(pages).toEqual([names.slice(0, 2), names.slice(2, 4), names.slice(4)]);
    const [first = ""] = names;
    await api.ask("PATCH", `/accounts/${first}`, { json: { disabled: true }, headers: { "if-match": "*" } });
    const disabled = await api.ask("GET", `/accounts?prefix=${prefix}&disabled=true`);
    expect((disabled.json() as { items: readonly Account[] }).items.map(({ name }) => name)).toEqual([first]);
  });

  it("are changed only as they were read", async () => {
    const { name } = await create(api);
    const change = (ifMatch: string | undefined) =>
      api.ask("PATCH", `/accounts/${name}`, {
        json: { displayName: freshName() },
        ...(ifMatch !== undefined && { headers: { "if-match": ifMatch } }),
      });
    expectRefused(await change(undefined), 428, "REVISION_REQUIRED");
    for (const stale of ['"0"', '"2"', 'W/"1"', "1", '"1", "2"', "nonsense"]) {
      const refused = await change(stale);
      expectRefused(refused, 412, "REVISION_STALE");
      expect(refused.header("etag")).toBe('"1"');
    }
    const both = await Promise.all([change('"1"'), change('"1"')]);
    expect(both.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 412]);
    expect((await change("*")).status).toBe(200);
    // What changes nothing is no new revision.
    const shown = (await api.ask("GET", `/accounts/${name}`)).json() as Account;
    const same = await api.ask("PATCH", `/accounts/${name}`, { json: {}, headers: { "if-match": '"3"' } });
    expect(same.json()).toEqual(shown);
  });

  it("that are disabled, or have another password, are out with the next request", async () => {
    const { name } = await create(api);
    const token = async (): Promise<string> => {
      const answer = await api.registry.as(basic(name, password)).send("GET", "/token?service=berth");
      return `Bearer ${(answer.json() as { readonly token: string }).token}`;
    };
    const first = await token();
    const isGood = async (authorization: string) =>
      (await api.registry.as(authorization).send("GET", "/v2/")).status === 200;
    expect(await isGood(first)).toBe(true);
    const disable = (disabled: boolean) =>
      api.ask("PATCH", `/accounts/${name}`, { json: { disabled }, headers: { "if-match": "*" } });
    await disable(true);
    expect([await isGood(first), await mayEnter(api, name, password)]).toEqual([false, false]);
    await disable(false);
    expect([await isGood(first), await mayEnter(api, name, password)]).toEqual([false, true]);
    const second = await token();
    const other = "another-long-password";
    expect((await api.ask("PUT", `/accounts/${name}/password`, { json: { password: other } })).status).toBe(204);
    expect([await isGood(second), await mayEnter(api, name, password)]).toEqual([false, false]);
    expect(await mayEnter(api, name, other)).toBe(true);
  });

  it("that come again under their name are others", async () => {
    const { name, id } = await create(api);
    const answer = await api.registry.as(basic(name, password)).send("GET", "/token?service=berth");
    const { token } = answer.json() as { readonly token: string };
    await api.ask("DELETE", `/accounts/${name}`);
    const again = await create(api, name);
    expect(again.id).not.toBe(id);
    expect((await api.registry.as(`Bearer ${token}`).send("GET", "/v2/")).status).toBe(401);
  });

  it("are made once with an Idempotency-Key", async () => {
    const name = freshName();
    const key = freshName("key");
    const answers = await Promise.all(Array.from({ length: 4 }, () => keyed(api, name, key)));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect(new Set(answers.map(({ text, headers }) => `${text} ${headers["location"] ?? ""}`)).size).toBe(1);
    expectRefused(await keyed(api, freshName(), key), 422, "IDEMPOTENCY_KEY_REUSED");
    expectRefused(await keyed(api, name, freshName("key")), 409, "CONFLICT");
    expectRefused(await keyed(api, name, "no key"), 400, "INPUT_INVALID");
  });

  it("keep one administrator, also when all but one are taken away at once", async () => {
    for (const [method, path, json] of [
      ["DELETE", "/accounts/admin?dryRun=true", undefined],
      ["DELETE", "/accounts/admin", undefined],
      ["PATCH", "/accounts/admin", { disabled: true }],
    ] as const) {
      const refused = await api.ask(method, path, { json, headers: { "if-match": "*" } });
      expectRefused(refused, 409, "CONFLICT");
      expect(problemIn(refused).detail).toContain("last administrator");
    }
    expect((await api.ask("GET", "/me")).json()).toMatchObject({ name: "admin", administrator: true });
  });

  it("are nobody's but an administrator's", async () => {
    const { name } = await create(api);
    const other = await create(api);
    for (const { method, path, permission } of await api.operations()) {
      if (typeof permission !== "object" || permission === null || !("on" in permission)) continue;
      const at = path.replaceAll(/\{\w+\}/g, other.name);
      const options = { json: method === "GET" || method === "DELETE" ? undefined : {}, headers: { "if-match": "*" } };
      const refused = await api.ask(method, at, { ...options, as: [name, password] });
      // What is of others is as if it were not there.
      if (permission.on === "instance") expectRefused(refused, 403, "DENIED");
      else expect([method, path, refused.status]).toEqual([method, path, 404]);
      expectRefused(await api.ask(method, at, { ...options, as: null }), 401, "UNAUTHORIZED");
    }
    expect((await api.ask("GET", "/me", { as: [name, password] })).json()).toMatchObject({
      name,
      administrator: false,
    });
  });

  it("change their own password, with the one they have", async () => {
    const { name } = await create(api);
    const other = "another-long-password";
    const change = (current: string) =>
      api.ask("PUT", "/me/password", { as: [name, password], json: { current, password: other } });
    const refused = await change("not-the-password");
    expectRefused(refused, 400, "INPUT_INVALID");
    expect(problemIn(refused).faults).toEqual([{ at: "current", reason: "it is not the password" }]);
    expect((await change(password)).status).toBe(204);
    expect([await mayEnter(api, name, password), await mayEnter(api, name, other)]).toEqual([false, true]);
  });
});
