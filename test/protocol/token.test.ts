import { describe, expect, test } from "bun:test";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { adminBasic, bearerFor, claimsOf, getToken, headerOf, tokenReply } from "./bearer.ts";
import { pushIndex } from "./content.ts";
import { type Answer, basic, expectClientError, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const post = (
  form: string | readonly (readonly [string, string])[],
  type = "application/x-www-form-urlencoded",
): Promise<Answer> =>
  registry.as(undefined).send("POST", "/token", {
    headers: { "Content-Type": type },
    body:
      typeof form === "string"
        ? form
        : new URLSearchParams(form.map(([name, value]): [string, string] => [name, value])).toString(),
  });

const passwordGrant = (...more: readonly (readonly [string, string])[]) =>
  [
    ["grant_type", "password"],
    ["service", "berth"],
    ["client_id", "test"],
    ["username", "admin"],
    ["password", registry.server().admin.password],
    ...more,
  ] as const;

const grantOf = (token: string): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(claimsOf(token).access.map(({ type, name, actions }) => [`${type}:${name}`, actions.toSorted()]));

test("HEAD /token is GET /token without the token", async () => {
  const answer = await registry.send("HEAD", "/token?service=berth");
  expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
  expect(answer.header("cache-control")).toContain("no-store");
});

describe("GET /token", () => {
  test("without scope and with valid Basic is 200 with both token fields equal, expires_in and issued_at", async () => {
    const answer = await registry.send("GET", "/token?service=berth");
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toStartWith("application/json");
    expect(answer.header("cache-control")).toContain("no-store");
    const reply = tokenReply(answer);
    expect(reply.token).toBe(reply.access_token);
    expect(reply.expires_in).toBe(300);
    expect(reply.issued_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
    expect(Math.abs(Date.parse(reply.issued_at) - Date.now())).toBeLessThan(60_000);
    expect(reply.refresh_token).toBeUndefined();
  });

  test("without scope gives a token with which /v2/ is 200, as docker login wants it", async () => {
    const query = "account=admin&client_id=docker&offline_token=true";
    const reply = tokenReply(await getToken(registry, query));
    const answer = await registry.as(`Bearer ${reply.token}`).send("GET", "/v2/");
    expect([answer.status, answer.text]).toEqual([200, "{}"]);
    expect(claimsOf(reply.token).access).toEqual([]);
    expect(reply.refresh_token).toBeString();
  });

  test("with a wrong password is 401, and the same for a name that is nobody's", async () => {
    const wrong = await getToken(registry, "", basic("admin", "wrong"));
    const nobody = await getToken(registry, "", basic("nobody", "wrong"));
    expect([wrong.status, nobody.status]).toEqual([401, 401]);
    expect(nobody.text).toBe(wrong.text);
  });

  test("without credentials, or with empty ones, is 200 with an anonymous token", async () => {
    for (const authorization of ["", "Basic Og=="]) {
      const answer = await getToken(registry, "scope=repository:acme/app:pull", authorization);
      expect(answer.status).toBe(200);
      expect(claimsOf(tokenReply(answer).token).access).toEqual([]);
    }
  });

  test("takes several scopes, each in a parameter of its own or all in one", async () => {
    const [a, b] = ["repository:acme/a:pull,push", "repository:acme/b:pull"];
    const want = { "repository:acme/a": ["pull", "push"], "repository:acme/b": ["pull"] };
    for (const query of [`scope=${a}&scope=${b}`, `scope=${a}%20${b}`, `scope=${a}+${b}`]) {
      expect(grantOf(tokenReply(await getToken(registry, query)).token)).toEqual(want);
    }
    const third = "repository:acme/c:delete";
    const mixed = await getToken(registry, `scope=${a}%20${b}&scope=${third}`);
    expect(grantOf(tokenReply(mixed).token)).toEqual({ ...want, "repository:acme/c": ["delete"] });
  });

  test("merges actions of one repository that comes twice, in any order", async () => {
    const reply = tokenReply(
      await getToken(registry, "scope=repository:acme/a:push,pull&scope=repository:acme/a:delete"),
    );
    const actions = claimsOf(reply.token)
      .access.filter(({ name }) => name === "acme/a")
      .flatMap((access) => access.actions);
    expect(new Set(actions)).toEqual(new Set(["pull", "push", "delete"]));
  });

  test("drops unknown types and actions, and what is no scope at all, without an error", async () => {
    const odd = [
      "repository:acme/a:pull,fly",
      "unknown:acme/a:pull",
      "repository",
      "a:b",
      ":::",
      "",
      "repository::pull",
      "x".repeat(500),
    ];
    const query = odd.map((scope) => `scope=${encodeURIComponent(scope)}`).join("&");
    const answer = await getToken(registry, query);
    expect(answer.status).toBe(200);
    expect(grantOf(tokenReply(answer).token)).toEqual({ "repository:acme/a": ["pull"] });
  });

  test("reads the class of a type away: repository(plugin) is repository", async () => {
    const reply = tokenReply(await getToken(registry, "scope=repository(plugin):acme/a:pull"));
    expect(claimsOf(reply.token).access).toMatchObject([{ name: "acme/a", actions: ["pull"] }]);
  });

  test("splits a name with host:port at the first and the last colon, and drops it without an error", async () => {
    const answer = await getToken(registry, "scope=repository:localhost:5000/acme/a:pull&scope=repository:acme/b:pull");
    expect(answer.status).toBe(200);
    const grants = grantOf(tokenReply(answer).token);
    expect(grants["repository:acme/b"]).toEqual(["pull"]);
    expect(Object.keys(grants)).not.toContain("repository:localhost");
  });

  test("asked for more than allowed is 200 with the intersection", async () => {
    await pushIndex(registry.as(await bearerFor(registry, "repository:library/app:pull,push")), "library/app", {
      tag: "v1",
    });
    const query = "scope=repository:library/app:pull,push,delete&scope=repository:acme/secret:pull";
    const answer = await getToken(registry, query, "");
    expect(answer.status).toBe(200);
    expect(grantOf(tokenReply(answer).token)).toEqual({ "repository:library/app": ["pull"] });
  });

  test("* are all actions", async () => {
    const name = freshRepository();
    const registryAs = registry.as(await bearerFor(registry, `repository:${name}:*`));
    await pushIndex(registryAs, name, { tag: "v1" });
    expect((await registryAs.send("GET", `/v2/${name}/manifests/v1`)).status).toBe(200);
    expect((await registryAs.send("DELETE", `/v2/${name}/manifests/v1`)).status).toBe(202);
  });

  test("registry:catalog:* opens the catalog", async () => {
    const reader = registry.as(await bearerFor(registry, "registry:catalog:*"));
    expect((await reader.send("GET", "/v2/_catalog")).status).toBe(200);
  });

  test("with another service is 400, or a token that is for this one alone", async () => {
    const answer = await registry.send("GET", "/token?service=evil.example");
    if (answer.status === 200) expect(claimsOf(tokenReply(answer).token).aud).toBe("berth");
    else expect(answer.status).toBe(400);
  });
});

describe("a token", () => {
  test("has all claims, a key of the published set, and lives five minutes", async () => {
    const { token } = tokenReply(await getToken(registry, "scope=repository:acme/a:pull"));
    const { alg, kid } = headerOf(token);
    expect(["ES256", "EdDSA", "Ed25519"]).toContain(alg);
    expect(kid).toBeString();
    const claims = claimsOf(token);
    expect(claims.exp - claims.iat).toBe(300);
    expect(claims.nbf).toBeLessThanOrEqual(Date.now() / 1000);
    expect([claims.aud].flat()).toEqual(["berth"]);
    expect(claims.iss).toBeString();
    expect(claims.sub).toBeString();
    expect(claims.jti.length).toBeGreaterThanOrEqual(16);
    expect(claims.access).toEqual([{ type: "repository", name: "acme/a", actions: ["pull"] }]);
    const published = await registry.as(undefined).send("GET", "/token/jwks.json");
    expect(published.status).toBe(200);
    const keys = published.json() as JSONWebKeySet;
    for (const key of keys.keys) expect(key).not.toHaveProperty("d");
    const verified = await jwtVerify(token, createLocalJWKSet(keys), { audience: "berth", issuer: claims.iss });
    expect(verified.payload.jti).toBe(claims.jti);
  });

  test("is another one each time", async () => {
    const tokens = await Promise.all([1, 2, 3].map(() => getToken(registry, "")));
    expect(new Set(tokens.map((answer) => claimsOf(tokenReply(answer).token).jti)).size).toBe(3);
  });
});

const wrongPassword = (username: string) =>
  [
    ["grant_type", "password"],
    ["service", "berth"],
    ["client_id", "test"],
    ["username", username],
    ["password", "wrong"],
  ] as const;

describe("POST /token", () => {
  test("with grant_type=password and access_type=offline is 200 with access_token, scope, expires_in and refresh_token", async () => {
    const scope = "repository:acme/a:pull,push";
    const answer = await post(passwordGrant(["scope", scope], ["access_type", "offline"]));
    expect(answer.status).toBe(200);
    expect(answer.header("cache-control")).toContain("no-store");
    const reply = tokenReply(answer);
    expect(reply).toMatchObject({ scope, expires_in: 300 });
    expect(reply.refresh_token).toBeString();
    expect(grantOf(reply.access_token)).toEqual({ "repository:acme/a": ["pull", "push"] });
  });

  test("without access_type=offline gives no refresh_token", async () => {
    const reply = tokenReply(await post(passwordGrant(["scope", "repository:acme/a:pull"])));
    expect(reply.refresh_token).toBeUndefined();
  });

  test("with grant_type=refresh_token is a new access token and the scope, again and again", async () => {
    const first = tokenReply(await post(passwordGrant(["access_type", "offline"])));
    for (const name of ["acme/a", "acme/b"]) {
      const answer = await post([
        ["grant_type", "refresh_token"],
        ["service", "berth"],
        ["client_id", "test"],
        ["refresh_token", first.refresh_token ?? ""],
        ["scope", `repository:${name}:pull`],
      ]);
      expect(answer.status).toBe(200);
      const reply = tokenReply(answer);
      expect(reply.scope).toBe(`repository:${name}:pull`);
      expect(grantOf(reply.access_token)).toEqual({ [`repository:${name}`]: ["pull"] });
      expect((await registry.as(`Bearer ${reply.access_token}`).send("GET", "/v2/")).status).toBe(200);
    }
  });

  test("exchanges the refresh_token of GET with offline_token=true", async () => {
    const got = tokenReply(await getToken(registry, "account=admin&client_id=docker&offline_token=true"));
    const answer = await post([
      ["grant_type", "refresh_token"],
      ["service", "berth"],
      ["client_id", "docker"],
      ["refresh_token", got.refresh_token ?? ""],
    ]);
    expect(answer.status).toBe(200);
    expect(claimsOf(tokenReply(answer).access_token).sub).toBe(claimsOf(got.token).sub);
  });

  test("takes repeated scope fields and a list in one", async () => {
    const want = { "repository:acme/a": ["pull"], "repository:acme/b": ["pull", "push"] };
    const [a, b] = ["repository:acme/a:pull", "repository:acme/b:push,pull"];
    const repeated = tokenReply(await post(passwordGrant(["scope", a], ["scope", b])));
    const listed = tokenReply(await post(passwordGrant(["scope", `${a} ${b}`])));
    expect([grantOf(repeated.access_token), grantOf(listed.access_token)]).toEqual([want, want]);
    expect(repeated.scope?.split(" ")).toHaveLength(2);
  });

  test("with a wrong password is 401, and the same for a name that is nobody's", async () => {
    const [wrong, nobody] = [await post(wrongPassword("admin")), await post(wrongPassword("nobody"))];
    expect([wrong.status, nobody.status]).toEqual([401, 401]);
    expect(nobody.text).toBe(wrong.text);
  });

  test("with a refresh token that is garbage, empty or an access token is 4xx", async () => {
    const { access_token: accessToken } = tokenReply(await post(passwordGrant()));
    for (const refreshToken of ["garbage", "", "x".repeat(5000), accessToken]) {
      const answer = await post([
        ["grant_type", "refresh_token"],
        ["service", "berth"],
        ["client_id", "test"],
        ["refresh_token", refreshToken],
      ]);
      expectClientError(answer);
      expect(answer.text).not.toContain("access_token");
    }
  });

  test("with another grant type, no form, or far too much of it, is 4xx", async () => {
    expectClientError(
      await post([
        ["grant_type", "client_credentials"],
        ["service", "berth"],
      ]),
    );
    expectClientError(await post(""));
    expectClientError(await post("%%%=%"));
    expectClientError(await post('{"grant_type":"password"}', "application/json"));
    expectClientError(await post(passwordGrant(["padding", "x".repeat(1_000_000)])));
  });
});

test("a refresh token is no password and no bearer token", async () => {
  const { refresh_token: refreshToken = "" } = tokenReply(await post(passwordGrant(["access_type", "offline"])));
  expect((await registry.as(`Bearer ${refreshToken}`).send("GET", "/v2/")).status).toBe(401);
  expect(refreshToken.split(".")).not.toHaveLength(3);
});

test("another method on the token endpoint is 405 with Allow", async () => {
  const answer = await registry.as(undefined).send("DELETE", "/token");
  expect(answer.status).toBe(405);
  expect(answer.header("allow")).toContain("POST");
});

test("passwords and tokens never reach the log", async () => {
  const reply = tokenReply(await post(passwordGrant(["access_type", "offline"])));
  await registry.as(adminBasic(registry)).send("GET", "/v2/?token=not-a-secret-but-odd");
  await registry.as(`Bearer ${reply.access_token}`).send("GET", "/v2/");
  await registry
    .as(undefined)
    .send(
      "GET",
      `/token?service=berth&password=${registry.server().admin.password}&access_token=${reply.access_token}`,
    );
  await registry.server().logged();
  const log = JSON.stringify(registry.server().log());
  expect(log).toContain("/token");
  for (const secret of [
    registry.server().admin.password,
    reply.access_token,
    reply.refresh_token ?? "none",
    adminBasic(registry),
  ]) {
    expect(log.includes(secret)).toBe(false);
  }
});
