import { describe, expect, it } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { expectRefused, freshName, isOpen, password, problemIn, useApi } from "./checked-api.ts";

const api = useApi({ env: { BERTH_HTTP_CORS_ORIGINS: "https://pages.example.org" } });

describe("the OpenAPI file", () => {
  it("is one by its own specification, and says what every route needs", async () => {
    const document = await api.document();
    expect(document.openapi).toBe("3.1.0");
    const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    const operations = await api.operations();
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { permission } of operations) expect(permission).toBeDefined();
    // The validator sees what is wrong.
    const broken = { ...document, paths: { "/x": { get: { responses: { "200": {} } } } } };
    expect((await new Validator().validate(broken as never)).valid).toBe(false);
  });

  it("has a page for people, which can run nothing", async () => {
    for (const path of ["/", ""]) {
      const page = await api.registry.as(undefined).send("GET", `/api/v1${path}`);
      expect([page.status, page.header("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
      expect(page.header("content-security-policy")).toStartWith("default-src 'none'; style-src 'sha256-");
      for (const { path: route } of await api.operations()) expect(page.text).toContain(route);
      expect(page.text).not.toContain("<script");
    }
  });
});

describe("what a route does not know", () => {
  const wrong: readonly (readonly [method: string, path: string, json: unknown, at: string])[] = [
    ["POST", "/accounts", { name: "x", password, administrator: true }, "administrator"],
    ["POST", "/accounts", { name: "x", password, has_admin_role: true }, "has_admin_role"],
    ["PATCH", "/accounts/admin", { id: "1" }, "id"],
    ["PATCH", "/accounts/admin", { revision: 7 }, "revision"],
    ["PATCH", "/accounts/admin", { epoch: 7 }, "epoch"],
    ["PUT", "/me/password", { current: password, password, name: "admin" }, "name"],
    ["POST", "/session", { name: "x", password, remember: true }, "remember"],
    ["GET", "/accounts?q=password_hash", undefined, "q"],
    ["GET", "/accounts?sort=password_hash", undefined, "sort"],
    ["GET", "/accounts?filter[password_hash]=a", undefined, "filter[password_hash]"],
    ["GET", "/accounts?password_hash=a", undefined, "password_hash"],
    ["GET", "/accounts/admin?x=1", undefined, "x"],
    ["GET", "/accounts?limit=1&limit=2", undefined, "limit"],
    ["DELETE", "/accounts/admin?dryrun=true", undefined, "dryrun"],
    ["DELETE", "/accounts/admin?dryRun=yes", undefined, "dryRun"],
  ];
  it.each(wrong.map((one) => [`${one[0]} ${one[1]}`, one] as const))("%s is refused", async (_, wanted) => {
    const [method, path, json, at] = wanted;
    const refused = await api.ask(method, path, { json, headers: { "if-match": "*" } });
    expectRefused(refused, 400, "INPUT_INVALID");
    expect(problemIn(refused).faults?.map((fault) => fault.at)).toEqual([at]);
  });

  it("is so in whatever place of the JSON", async () => {
    const bodies = [
      '{"name":"x","password":"a-long-enough-password","__proto__":{"administrator":true}}',
      '{"name":"x","password":"a-long-enough-password","constructor":{"prototype":{}}}',
      "[]",
      "null",
      '"x"',
      "{",
      "",
      "[".repeat(10_000),
      `{"name":${"{".repeat(100)}`,
      '{"name":"\\ud800","password":"a-long-enough-password"}',
      '{"name":"x","password":"a-long-enough-password","displayName":"a\\u0000b"}',
      '{"name":"x","password":"a-long-enough-password","displayName":"a\\nb"}',
      '{"name":"x","password":"a-long-enough-password","email":"no address"}',
      '{"name":"-x-","password":"a-long-enough-password"}',
      '{"name":"x","password":"short"}',
      `{"name":"x","password":"${"x".repeat(1025)}"}`,
    ];
    for (const body of bodies) {
      const refused = await api.ask("POST", "/accounts", { body, headers: { "content-type": "application/json" } });
      expectRefused(refused, 400, "INPUT_INVALID");
    }
    expect(Object.getPrototypeOf({})).not.toHaveProperty("administrator");
  });
});

it("limits are numbers within bounds", async () => {
  for (const limit of ["0", "-1", "1001", "2147483647", "NaN", "1.5", "1e2", "0x10", "", "%20"]) {
    expectRefused(await api.ask("GET", `/accounts?limit=${limit}`), 400, "INPUT_INVALID");
  }
});

it("bodies have bounds and a type", async () => {
  const json = { name: freshName(), password, displayName: "x".repeat(70_000) };
  expectRefused(await api.ask("POST", "/accounts", { json }), 413, "BODY_TOO_LARGE");
  for (const type of ["text/plain", "application/json; charset=latin1", "application/jsonx", ""]) {
    const refused = await api.ask("POST", "/accounts", { body: "{}", headers: { "content-type": type } });
    expectRefused(refused, 415, "BODY_TYPE_UNSUPPORTED");
  }
  expectRefused(await api.ask("GET", "/accounts", { body: "{}" }), 400, "INPUT_INVALID");
  expectRefused(await api.ask("DELETE", "/accounts/admin", { body: "{}" }), 400, "INPUT_INVALID");
});

const attacks = [
  "' or 1=1 --",
  '";drop table accounts;--',
  "\\",
  "%",
  "_",
  "a\0b",
  "$(id)",
  "{{7*7}}",
  "../admin",
  "ä".repeat(300),
];

it("what would mean something to a database is text", async () => {
  for (const text of attacks) {
    const given = encodeURIComponent(text);
    const named = await api.ask("GET", `/accounts/${given}`);
    expectRefused(named, 404, "OBJECT_UNKNOWN");
    for (const parameter of ["prefix", "after"]) {
      const listed = await api.ask("GET", `/accounts?${parameter}=${given}`);
      expect([200, 400]).toContain(listed.status);
      if (parameter === "prefix" && listed.status === 200) expect(listed.json()).toEqual({ items: [] });
    }
  }
  expect((await api.ask("GET", "/accounts/admin")).status).toBe(200);
});

it("no other spelling of a path leads past the check", async () => {
  const isLetIn: string[] = [];
  for (const { method, path, permission } of await api.operations()) {
    if (isOpen(permission)) continue;
    const at = `/api/v1${path.replaceAll(/\{\w+\}/g, "admin")}`;
    const [, , , first = ""] = at.split("/");
    const spellings = [
      at,
      `${at}/`,
      `/${at}`,
      `/${at}/`,
      at.replace("/v1/", "/v1//"),
      `${at}/.`,
      `${at}/..;/x`,
      `${at};x`,
      `${at}%3bx`,
      `${at}%2f`,
      `${at}%5c`,
      `${at}?`,
      `${at}%23`,
      `${at}%00`,
      at.replace(first, first.toUpperCase()),
      at.replace(first, `%${(first.codePointAt(0) ?? 0).toString(16)}${first.slice(1)}`),
      at.replace("/api/", "/API/"),
      at.replace("/api/v1", "/api/v1/session/.."),
      at.replace("/api/v1", "/v2/../api/v1"),
    ];
    for (const target of spellings) {
      const answer = await api.registry.as(undefined).send(method, target, { headers: { "if-match": "*" } });
      if (answer.status < 400 || answer.status >= 500) isLetIn.push(`${method} ${target}: ${String(answer.status)}`);
    }
  }
  expect(isLetIn).toEqual([]);
});

describe("methods", () => {
  it("that a path has not are named by those it has", async () => {
    const refused = await api.ask("POST", "/accounts/admin");
    expectRefused(refused, 405, "METHOD_UNSUPPORTED");
    expect(refused.header("allow")).toBe("GET, HEAD, PATCH, DELETE");
    expectRefused(await api.ask("PUT", "/accounts"), 405, "METHOD_UNSUPPORTED");
    expectRefused(await api.ask("GET", "/nothing"), 404, "ROUTE_UNKNOWN");
  });
});

const preflight = (origin: string) =>
  api.registry.as(undefined).send("OPTIONS", "/api/v1/accounts", {
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  });

describe("pages of other origins", () => {
  it("may ask where they are named, and never with a cookie", async () => {
    const allowed = await preflight("https://pages.example.org");
    expect([allowed.status, allowed.header("access-control-allow-origin"), allowed.header("vary")]).toEqual([
      204,
      "https://pages.example.org",
      "origin",
    ]);
    expect(allowed.headers).not.toHaveProperty("access-control-allow-credentials");
    const headers = { origin: "https://pages.example.org" };
    const asked = await api.ask("GET", "/accounts", { headers });
    expect(asked.header("access-control-allow-origin")).toBe("https://pages.example.org");
    expect(asked.headers).not.toHaveProperty("access-control-allow-credentials");
    const refused = await api.ask("GET", "/accounts", { as: null, headers });
    expect(refused.header("access-control-allow-origin")).toBe("https://pages.example.org");
  });

  it("may not, where they are not", async () => {
    for (const origin of ["https://evil.example", "null", "https://pages.example.org.evil.example", "*"]) {
      const refused = await preflight(origin);
      expect(refused.status).toBe(405);
      expect(refused.headers).not.toHaveProperty("access-control-allow-origin");
      const asked = await api.ask("GET", "/accounts", { headers: { origin } });
      expect(asked.headers).not.toHaveProperty("access-control-allow-origin");
    }
  });
});

it("the metrics have a series for a route, and none for what clients make up", async () => {
  for (let count = 0; count < 20; count++) await api.ask("GET", `/accounts/${freshName("made-up")}`);
  for (let count = 0; count < 20; count++) await api.ask("GET", `/${freshName("made-up")}`);
  const { text } = await api.registry.as(undefined).send("GET", "/metrics");
  expect(text).toContain('registry_http_requests_total{code="404",handler="/api/v1/accounts/{account}",method="GET"}');
  expect(text).not.toContain("made-up");
});

it("a refusal's id is in the log, with who asked", async () => {
  const { requestId } = problemIn(await api.ask("GET", "/accounts/nobody-at-all"));
  await api.registry.server().logged();
  const line = api.registry
    .server()
    .requests()
    .find((one) => one["requestId"] === requestId);
  expect(line).toMatchObject({ status: 404, principal: "admin", path: "/api/v1/accounts/nobody-at-all" });
});
