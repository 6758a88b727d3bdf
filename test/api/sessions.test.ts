import { describe, expect, it } from "bun:test";
import type { Answer } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { type Api, expectRefused, freshName, isOpen, password, useApi } from "./checked-api.ts";

const signIn = (api: Api, [name, secret]: readonly [string, string], headers = {}): Promise<Answer> =>
  api.ask("POST", "/session", { as: null, json: { name, password: secret }, headers });

const cookieOf = (answer: Answer): string => answer.header("set-cookie")?.split(";", 1)[0] ?? "";

async function session(api: Api, name = freshName()) {
  await api.ask("POST", "/accounts", { json: { name, password } });
  const cookie = cookieOf(await signIn(api, [name, password]));
  const origin = api.registry.server().url;
  return { name, cookie, origin };
}

describeEachDatabase("sessions of the API", (dialect) => {
  const api = useApi({ dialect });

  it("begin with a password, are shown by a cookie, and end when they are told to", async () => {
    const name = freshName();
    await api.ask("POST", "/accounts", { json: { name, password } });
    const answer = await signIn(api, [name.toUpperCase(), password]);
    expect(answer.status).toBe(200);
    expect(answer.header("set-cookie")).toMatch(
      /^berth_session=berth_session_\w{54}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
    expect(answer.text).not.toContain("berth_session");
    const cookie = cookieOf(answer);
    const me = () => api.ask("GET", "/me", { as: null, headers: { cookie } });
    expect((await me()).json()).toMatchObject({ name });
    const ended = await api.ask("DELETE", "/session", { as: null, headers: { cookie } });
    expect([ended.status, ended.header("set-cookie")]).toEqual([
      204,
      "berth_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
    ]);
    expectRefused(await me(), 401, "UNAUTHORIZED");
    // One that is over can be ended too.
    expect((await api.ask("DELETE", "/session", { as: null, headers: { cookie } })).status).toBe(204);
  });

  it("end with their account's password, its disabling and its deletion", async () => {
    const ends = [
      ["PUT", "/password", { password: "another-long-password" }],
      ["PATCH", "", { disabled: true }],
      ["DELETE", "", undefined],
    ] as const;
    for (const [method, path, json] of ends) {
      const { name, cookie } = await session(api);
      const me = () => api.ask("GET", "/me", { as: null, headers: { cookie } });
      expect((await me()).status).toBe(200);
      await api.ask(method, `/accounts/${name}${path}`, { json, headers: { "if-match": "*" } });
      expectRefused(await me(), 401, "UNAUTHORIZED");
    }
  });

  it("change nothing for the pages of others", async () => {
    const { cookie, origin } = await session(api, freshName());
    const change = (headers: Readonly<Record<string, string>>, more = {}) =>
      api.ask("PUT", "/me/password", {
        as: null,
        json: { current: password, password: "another-long-password" },
        headers: { cookie, ...headers },
        ...more,
      });
    const foreign = [
      {},
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin, "sec-fetch-site": "cross-site" },
      { origin, "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "none" },
    ];
    for (const headers of foreign) expectRefused(await change(headers), 403, "FOREIGN_ORIGIN");
    const form = { "content-type": "application/x-www-form-urlencoded", origin };
    expectRefused(await change(form), 415, "BODY_TYPE_UNSUPPORTED");
    expectRefused(await change({ "content-type": "text/plain", origin }), 415, "BODY_TYPE_UNSUPPORTED");
    // Nor does anybody's page sign its reader in or out.
    expectRefused(await signIn(api, ["x", password], { origin: "https://evil.example" }), 403, "FOREIGN_ORIGIN");
    const signOut = { as: null, headers: { cookie, origin: "https://evil.example" } };
    expectRefused(await api.ask("DELETE", "/session", signOut), 403, "FOREIGN_ORIGIN");
    expect((await change({ origin, "sec-fetch-site": "same-origin" })).status).toBe(204);
  });

  it("are one when somebody signs in anew", async () => {
    const { name, cookie } = await session(api);
    const again = await signIn(api, [name, password], { cookie });
    expect(cookieOf(again)).not.toBe(cookie);
    expectRefused(await api.ask("GET", "/me", { as: null, headers: { cookie } }), 401, "UNAUTHORIZED");
    // Of two cookies one is somebody else's.
    const two = `${cookieOf(again)}; ${cookie}`;
    expectRefused(await api.ask("GET", "/me", { as: null, headers: { cookie: two } }), 401, "UNAUTHORIZED");
  });
});

describe("signing in", () => {
  const api = useApi();

  it("is refused with one answer, whatever is wrong", async () => {
    const name = freshName();
    await api.ask("POST", "/accounts", { json: { name, password } });
    const disabled = freshName();
    await api.ask("POST", "/accounts", { json: { name: disabled, password } });
    await api.ask("PATCH", `/accounts/${disabled}`, { json: { disabled: true }, headers: { "if-match": "*" } });
    const tries = [
      [name, "not-the-password"],
      [freshName("nobody"), password],
      [disabled, password],
      ["no name \u0001", password],
      [name, ""],
    ] as const;
    const answers = await Promise.all(tries.map(([given, secret]) => signIn(api, [given, secret])));
    const seen = answers.map((answer) => {
      const { requestId: _, ...problem } = answer.json() as { readonly requestId: string };
      const { "x-request-id": __, date: ___, ...headers } = answer.headers;
      return JSON.stringify([problem, headers]);
    });
    expect(new Set(seen).size).toBe(1);
    expect(answers[0]?.status).toBe(401);
  });

  it("over the API, with Basic and at the token service is counted as one, however the name is written", async () => {
    const name = freshName("limited");
    await api.ask("POST", "/accounts", { json: { name, password } });
    const spellings = [name, name.toUpperCase(), ` ${name} `];
    for (let count = 0; count < 9; count++) {
      const given = spellings[count % 3] ?? name;
      const wrong = `wrong-password-${String(count)}`;
      if (count % 3 === 0) expectRefused(await signIn(api, [given, wrong]), 401, "UNAUTHORIZED");
      else if (count % 3 === 1) expectRefused(await api.ask("GET", "/me", { as: [given, wrong] }), 401, "UNAUTHORIZED");
      else {
        const form = `grant_type=password&service=berth&username=${encodeURIComponent(given)}&password=${wrong}`;
        const headers = { "content-type": "application/x-www-form-urlencoded" };
        expect((await api.registry.as(undefined).send("POST", "/token", { headers, body: form })).status).toBe(401);
      }
    }
    expectRefused(await signIn(api, [name, "wrong-password-10"]), 401, "UNAUTHORIZED");
    const limited = await signIn(api, [name, password]);
    expectRefused(limited, 429, "TOO_MANY_REQUESTS");
    expect(Number(limited.header("retry-after"))).toBeWithin(1, 901);
    expectRefused(await api.ask("GET", "/me", { as: [name, password] }), 429, "TOO_MANY_REQUESTS");
  });

  it("gives nothing that the registry protocol takes, and takes nothing of it", async () => {
    const { cookie } = await session(api);
    expect((await api.registry.as(undefined).send("GET", "/v2/", { headers: { cookie } })).status).toBe(401);
    const secret = cookie.split("=")[1] ?? "";
    expect((await api.registry.as(`Bearer ${secret}`).send("GET", "/v2/")).status).toBe(401);
    const { token } = (await api.registry.send("GET", "/token?service=berth&scope=registry:catalog:*")).json() as {
      readonly token: string;
    };
    expect((await api.registry.as(`Bearer ${token}`).send("GET", "/v2/_catalog")).status).toBe(200);
    for (const { method, path, permission } of await api.operations()) {
      if (isOpen(permission)) continue;
      const headers = { authorization: `Bearer ${token}`, "if-match": "*" };
      const asked = await api.ask(method, path.replaceAll(/\{\w+\}/g, "admin"), { as: null, headers });
      expectRefused(asked, 401, "UNAUTHORIZED");
    }
  });
});

describe("sessions that are left alone", () => {
  const api = useApi({
    env: { BERTH_ACCESS_SESSIONS_IDLE_SECONDS: "60", BERTH_ACCESS_SESSIONS_LONGEST_SECONDS: "90" },
  });

  it("are told how long they live", async () => {
    const answer = await signIn(api, ["admin", api.registry.server().admin.password]);
    expect(answer.header("set-cookie")).toEndWith("Max-Age=90");
    expect(answer.json()).toMatchObject({ idleSeconds: 60 });
  });
});
