import { expect, it } from "bun:test";
import { basic } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { expectRefused, freshName, password, useApi } from "./checked-api.ts";

const trust = {
  issuer: "https://token.actions.githubusercontent.com",
  audience: "https://registry.example",
  conditions: [{ claim: "repository_id", pattern: "1234" }],
};

describeEachDatabase("rules of workload identity over the API", (dialect) => {
  const api = useApi({ dialect });
  const [ann, bob, acme] = [freshName("ann"), freshName("bob"), freshName("acme")];
  const asAnn = { as: [ann, password] } as const;
  const asBob = { as: [bob, password] } as const;
  const robot = encodeURIComponent(`robot$${acme}+ci`);
  const rules = `/robots/${robot}/workload-rules`;

  it("are made, shown, listed, tried and removed by whose robot it is, and unknown to others", async () => {
    for (const name of [ann, bob]) await api.ask("POST", "/accounts", { json: { name, password } });
    await api.ask("POST", "/organizations", { json: { name: acme, owner: ann } });
    expect((await api.ask("POST", "/robots", { ...asAnn, json: { name: "ci", organization: acme } })).status).toBe(201);
    const made = await api.ask("POST", rules, { ...asAnn, json: trust });
    expect(made.status, made.text).toBe(201);
    const { id } = made.json() as { readonly id: string };
    expect(made.header("location")).toEndWith(`/workload-rules/${id}`);
    const shown = { id, robot: `robot$${acme}+ci`, ...trust };
    expect((await api.ask("GET", `/workload-rules/${id}`, asAnn)).json()).toMatchObject(shown);
    expect((await api.ask("GET", rules, asAnn)).json()).toMatchObject({ items: [shown] });
    const second = await api.ask("POST", rules, { ...asAnn, json: trust });
    const page = await api.ask("GET", `${rules}?limit=1`, asAnn);
    const { next } = page.json() as { readonly next: string };
    expect((await api.ask("GET", `${rules}?limit=1&after=${next}`, asAnn)).json()).toMatchObject({
      items: { length: 1 },
    });

    for (const [method, path, json] of [
      ["GET", `/workload-rules/${id}`, undefined],
      ["DELETE", `/workload-rules/${id}`, undefined],
      ["DELETE", `/workload-rules/${(second.json() as { readonly id: string }).id}?dryRun=true`, undefined],
      ["GET", "/workload-rules/no-such-rule", undefined],
      ["GET", rules, undefined],
      ["POST", rules, trust],
      ["POST", `/robots/${robot}/workload-test`, { token: "x" }],
    ] as const) {
      expectRefused(await api.ask(method, path, { ...asBob, json }), 404, "OBJECT_UNKNOWN");
      expectRefused(await api.ask(method, path, { as: null, json }), 401, "UNAUTHORIZED");
    }
    const tried = await api.ask("POST", `/robots/${robot}/workload-test`, { ...asAnn, json: { token: "no token" } });
    expect(tried.json()).toMatchObject({ rules: [{ trusted: false }, { trusted: false }] });
    const dry = await api.ask("DELETE", `/workload-rules/${id}?dryRun=true`, asAnn);
    expect(dry.json()).toEqual({ dryRun: true, removes: [{ kind: "workload rule", name: id, count: 1 }] });
    expect((await api.ask("DELETE", `/workload-rules/${id}`, asAnn)).status).toBe(200);
    expectRefused(await api.ask("GET", `/workload-rules/${id}`, asAnn), 404, "OBJECT_UNKNOWN");
  });

  it("are refused without a condition, with what is not known, and to a token", async () => {
    const none = await api.ask("POST", rules, { ...asAnn, json: { ...trust, conditions: [] } });
    expectRefused(none, 400, "INPUT_INVALID");
    expect(none.text).toContain("whoever the issuer knows");
    for (const json of [
      { ...trust, audience: "" },
      { ...trust, more: 1 },
      { ...trust, issuer: "http://10.0.0.1" },
    ]) {
      expectRefused(await api.ask("POST", rules, { ...asAnn, json }), 400, "INPUT_INVALID");
    }
    const scopes = ["**:robot:read,robot:update"];
    const made = await api.ask("POST", "/tokens", { ...asAnn, json: { name: "x", scopes } });
    const { token } = made.json() as { readonly token: string };
    const byToken = { as: null, headers: { authorization: basic(ann, token) }, json: trust };
    expectRefused(await api.ask("POST", rules, byToken), 403, "DENIED");
  });
});
