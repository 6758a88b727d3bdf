import { expect, it } from "bun:test";
import { basic } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { type Ask, expectRefused, freshName, password, useApi } from "./checked-api.ts";

interface Made {
  readonly id: string;
  readonly token: string;
}

const bearer = (token: string, ask: Ask = {}): Ask => ({
  ...ask,
  as: null,
  headers: { authorization: `Bearer ${token}` },
});

describeEachDatabase("tokens and robots over the API", (dialect) => {
  const api = useApi({ dialect });
  const [ann, bob, acme] = [freshName("ann"), freshName("bob"), freshName("acme")];
  const asAnn = { as: [ann, password] } as const;
  const make = async (json: object, ask: Ask = {}): Promise<Made> => {
    const answer = await api.ask("POST", "/tokens", { ...ask, json });
    expect(answer.status, answer.text).toBe(200);
    return answer.json() as Made;
  };

  it("are people's own to make, list, rotate and revoke, and nobody else's but an administrator's", async () => {
    for (const name of [ann, bob]) await api.ask("POST", "/accounts", { json: { name, password } });
    const scopes = [`${ann}/**:read,create`];
    const made = await make({ name: "ci", scopes, networks: ["127.0.0.0/8"] }, asAnn);
    const list = await api.ask("GET", "/tokens", asAnn);
    expect(list.json()).toMatchObject({ items: [{ id: made.id, name: "ci", state: "active", scopes }] });
    expect(list.text).not.toContain(made.token.slice(26));
    for (const [method, path, json] of [
      ["PATCH", `/tokens/${made.id}`, { state: "disabled" }],
      ["POST", `/tokens/${made.id}/rotation`, {}],
      ["DELETE", `/tokens/${made.id}`, undefined],
    ] as const) {
      expectRefused(await api.ask(method, path, { as: [bob, password], json }), 404, "OBJECT_UNKNOWN");
    }
    expectRefused(await api.ask("GET", `/tokens?account=${ann}`, { as: [bob, password] }), 403, "DENIED");
    expectRefused(
      await api.ask("POST", "/tokens", { as: [bob, password], json: { account: ann, name: "x", scopes } }),
      403,
      "DENIED",
    );
    expectRefused(await api.ask("POST", "/tokens", { ...asAnn, json: { name: "all of it" } }), 400, "INPUT_INVALID");
    const rotated = await api.ask("POST", `/tokens/${made.id}/rotation`, { ...asAnn, json: { overlapSeconds: 0 } });
    expect(rotated.status).toBe(200);
    const pings = async (token: string) => (await api.registry.as(basic(ann, token)).send("GET", "/v2/")).status;
    const next = rotated.json() as Made;
    expect([await pings(made.token), await pings(next.token)]).toEqual([401, 200]);
    expect((await api.ask("GET", `/tokens?account=${ann}`)).json()).toMatchObject({ items: { length: 2 } });
    const dry = await api.ask("DELETE", `/tokens/${next.id}?dryRun=true`, asAnn);
    expect(dry.json()).toEqual({ dryRun: true, removes: [{ kind: "token", name: next.id, count: 1 }] });
    expect(await pings(next.token)).toBe(200);
    expect((await api.ask("DELETE", `/tokens/${next.id}`)).status).toBe(200);
    expect(await pings(next.token)).toBe(401);
  });

  it("of people make, change and see no others, and set no password", async () => {
    const scopes = ["**:account:read,account:update,robot:read,read"];
    const { token, id } = await make({ name: "wide", scopes });
    const tries = [
      ["POST", "/tokens", { name: "x", scopes: ["a/**:read"] }],
      ["PUT", "/me/password", { current: password, password: "another-long-password" }],
      ["PUT", `/accounts/${ann}/password`, { password: "another-long-password" }],
      ["POST", "/robots", { name: "x" }],
    ] as const;
    for (const [method, path, json] of tries) {
      expectRefused(await api.ask(method, path, bearer(token, { json })), 403, "DENIED");
    }
    const narrow = await make({ name: "narrow", scopes: ["a/**:read"] }, asAnn);
    expectRefused(await api.ask("GET", "/tokens", bearer(narrow.token)), 403, "DENIED");
    // But it may take care that it is not used for ever.
    expect((await api.ask("POST", `/tokens/${id}/rotation`, bearer(token, { json: {} }))).status).toBe(200);
  });

  it("of robots are whose organization it is, and a robot rotates its own secret", async () => {
    await api.ask("POST", "/organizations", { json: { name: acme, owner: ann } });
    const created = await api.ask("POST", "/robots", { ...asAnn, json: { name: "ci", organization: acme } });
    expect(created.status).toBe(201);
    const robot = `robot$${acme}+ci`;
    const path = created.header("location")?.replace("/api/v1", "") ?? "";
    expect((await api.ask("GET", path, asAnn)).json()).toMatchObject({ name: robot, disabled: false });
    for (const [method, at, json] of [
      ["GET", path, undefined],
      ["PATCH", path, { disabled: true }],
      ["DELETE", path, undefined],
      ["GET", `/tokens?robot=${encodeURIComponent(robot)}`, undefined],
      ["POST", "/tokens", { robot, name: "x" }],
    ] as const) {
      expectRefused(await api.ask(method, at, { as: [bob, password], json }), 404, "OBJECT_UNKNOWN");
    }
    const { token, id } = await make({ robot, name: "first" }, asAnn);
    expectRefused(
      await api.ask("POST", "/tokens", bearer(token, { json: { robot, name: "x" } })),
      404,
      "OBJECT_UNKNOWN",
    );
    const rotated = await api.ask("POST", `/tokens/${id}/rotation`, bearer(token, { json: {} }));
    expect(rotated.status, rotated.text).toBe(200);
    const grant = { role: "guest", to: { kind: "robot", name: robot }, on: { kind: "organization", name: acme } };
    expect((await api.ask("POST", "/grants", { ...asAnn, json: grant })).status).toBe(200);
    const elsewhere = { ...grant, on: { kind: "instance" } };
    expectRefused(await api.ask("POST", "/grants", { ...asAnn, json: elsewhere }), 403, "DENIED");
    expect((await api.ask("PATCH", path, { ...asAnn, json: { disabled: true } })).json()).toMatchObject({
      disabled: true,
    });
    expectRefused(await api.ask("GET", "/robots", bearer(token)), 401, "UNAUTHORIZED");
    expect((await api.ask("GET", `/robots?organization=${acme}`, asAnn)).json()).toMatchObject({
      items: [{ name: robot }],
    });
    expect((await api.ask("DELETE", path, asAnn)).status).toBe(200);
    expectRefused(await api.ask("GET", path, asAnn), 404, "OBJECT_UNKNOWN");
  });
});
