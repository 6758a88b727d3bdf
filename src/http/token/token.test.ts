import { changePassword } from "../../access/accounts.ts";
import { expect, setDefaultTimeout, test } from "bun:test";
import { incoming } from "../../../test/support/incoming.ts";
import { createLocalJWKSet, jwtVerify } from "jose";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { addRepositories } from "../../../test/support/rights.ts";
import type { Policy } from "../../access/authorize.ts";
import { accessMigrations } from "../../access/migrations.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { authenticator } from "../authenticate.ts";
import { getJwks } from "./get-jwks.ts";
import { getToken } from "./get-token.ts";
import { postToken } from "./post-token.ts";
import { tokenSite } from "./token-site.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const password = "correct horse";
const home = "192.0.2.1";

type Body = Readonly<Record<string, unknown>>;

const bodyOf = (reply: Reply): Body => {
  if (reply.kind !== "json") throw new Error(`a reply of kind ${reply.kind}`);
  return reply.body as Body;
};

const basic = (name: string, secret: string): string => `Basic ${Buffer.from(`${name}:${secret}`).toString("base64")}`;

const requestOf = (method: string, about: Partial<Incoming>): Incoming =>
  incoming({ method, path: "/token", remoteAddress: home, ...about });

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 1000) yield Promise.resolve(bytes.subarray(at, at + 1000));
}

interface Asked {
  readonly authorization?: string;
  readonly from?: string;
}

const client = (access: TestAccess) => ({
  get: async (query: string, { authorization, from = home }: Asked = {}): Promise<Reply> =>
    getToken(access)(
      requestOf("GET", {
        query: new URLSearchParams(query),
        headers: new Map(authorization === undefined ? [] : [["authorization", authorization]]),
        remoteAddress: from,
      }),
    ),
  post: async (form: string, about: Partial<Incoming> = {}): Promise<Reply> =>
    postToken(access)(
      requestOf("POST", {
        headers: new Map([["content-type", "application/x-www-form-urlencoded"]]),
        body: chunksOf(form),
        bodyBytes: form.length,
        ...about,
      }),
    ),
});

const grantedIn = async (access: TestAccess, reply: Reply): Promise<unknown> => {
  const caller = await access.tokens.verify(String(bodyOf(reply)["access_token"]));
  return caller?.scope;
};

describeEachDatabase("GET /token", (_dialect, open) => {
  const start = async (mode: Policy["mode"] = "standard") => {
    const access = await openTestAccess(await open([accessMigrations]), mode);
    await access.addAccount("admin", password, true);
    await addRepositories(access, { "library/a": "public" });
    return { access, ...client(access) };
  };

  test("without a scope, as `docker login` asks: a token in both fields", async () => {
    const { access, get } = await start();
    const reply = await get("service=berth&account=admin", { authorization: basic("admin", password) });
    expect(reply.status).toBe(200);
    expect(reply.headers["cache-control"]).toBe("no-store");
    const body = bodyOf(reply);
    expect(body).toMatchObject({ expires_in: 300, token: body["access_token"], scope: "" });
    expect(new Date(String(body["issued_at"])).getTime()).toBe(Math.floor(access.clock.now() / 1000) * 1000);
    expect(body).not.toHaveProperty("refresh_token");
    expect(await access.tokens.verify(String(body["token"]))).toMatchObject({
      principal: { name: "admin" },
      scope: [],
    });
  });

  test("anonymous, and with empty credentials", async () => {
    const { access, get } = await start();
    for (const asked of [{}, { authorization: "Basic Og==" }]) {
      const reply = await get("service=berth&scope=repository:library/a:pull&offline_token=true", asked);
      expect(reply.status).toBe(200);
      expect(await grantedIn(access, reply)).toEqual([{ type: "repository", name: "library/a", actions: ["pull"] }]);
      expect(bodyOf(reply)).not.toHaveProperty("refresh_token");
    }
  });

  test("more than may be had is the intersection, which can be nothing", async () => {
    const { access, get } = await start();
    const scope =
      "scope=repository:library/a:pull,push,fly&scope=repository:a:pull repository(plugin):b:*&scope=planet:x:y";
    const anonymous = await get(`service=berth&${scope}`);
    expect(await grantedIn(access, anonymous)).toEqual([{ type: "repository", name: "library/a", actions: ["pull"] }]);
    expect(bodyOf(anonymous)["scope"]).toBe("repository:library/a:pull");
    const admin = await get(`service=berth&${scope}`, { authorization: basic("admin", password) });
    expect(bodyOf(admin)["scope"]).toBe(
      "repository:library/a:pull,push repository:a:pull repository:b:pull,push,delete,*",
    );
    const nothing = await get("service=berth&scope=repository:h:5000/a:pull");
    expect([nothing.status, await grantedIn(access, nothing)]).toEqual([200, []]);
  });

  test("the catalog", async () => {
    const { get } = await start();
    const admin = await get("scope=registry:catalog:*", { authorization: basic("admin", password) });
    expect(bodyOf(admin)["scope"]).toBe("registry:catalog:*");
    expect(bodyOf(await get("scope=registry:catalog:*"))["scope"]).toBe("");
  });

  test("open mode grants anonymous pull, push and delete", async () => {
    const { get } = await start("open");
    const reply = await get("scope=repository:a:pull,push,delete");
    expect(bodyOf(reply)["scope"]).toBe("repository:a:pull,push,delete");
  });

  test("a refresh token where it is asked for, which POST takes", async () => {
    const { get, post } = await start();
    const reply = await get("service=berth&offline_token=true", { authorization: basic("admin", password) });
    const text = String(bodyOf(reply)["refresh_token"]);
    expect(text).toStartWith("berth_rt_");
    const next = await post(`grant_type=refresh_token&refresh_token=${text}&service=berth`);
    expect(next.status).toBe(200);
  });

  test("another service, and too much scope, are refused", async () => {
    const { get } = await start();
    for (const query of [
      "service=evil",
      "service=",
      "service=berth&service=evil",
      `scope=${"repository:a:pull ".repeat(65)}`,
    ]) {
      const reply = await get(query, { authorization: basic("admin", password) });
      expect([query, reply.status]).toEqual([query, 400]);
      expect(bodyOf(reply)).not.toHaveProperty("token");
    }
  });

  test("credentials that are not good have one answer, whatever is wrong with them", async () => {
    const { get } = await start();
    const wrong = ["admin", "nobody", "a\0b", "../x", "x".repeat(300), ""].map((name) => basic(name, "wrong"));
    const replies = await Promise.all(
      [...wrong, "Bearer x", "Digest x", "Basic x"].map((authorization) => get("service=berth", { authorization })),
    );
    const [first] = replies;
    expect(first?.status).toBe(401);
    expect(first?.headers["www-authenticate"]).toBe('Basic realm="berth",charset="UTF-8"');
    expect(first && bodyOf(first)).toMatchObject({ errors: [{ code: "UNAUTHORIZED" }] });
    for (const reply of replies) expect(reply).toEqual(first as Reply);
  });
});

const form = (fields: Readonly<Record<string, string>>): string => new URLSearchParams(fields).toString();

describeEachDatabase("POST /token", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    await access.addAccount("admin", password, true);
    return { access, ...client(access) };
  };
  const signIn = { grant_type: "password", username: "admin", password, service: "berth", client_id: "test" };

  test("a password for a token, with its scope; a refresh token only when asked for", async () => {
    const { access, post } = await start();
    const scope = "repository:a:pull,push";
    const reply = await post(form({ ...signIn, scope }));
    expect(reply.status).toBe(200);
    expect(reply.headers["cache-control"]).toBe("no-store");
    expect(bodyOf(reply)).toMatchObject({ scope, expires_in: 300 });
    expect(bodyOf(reply)).not.toHaveProperty("refresh_token");
    expect(await grantedIn(access, reply)).toEqual([{ type: "repository", name: "a", actions: ["pull", "push"] }]);
  });

  test("a refresh token for tokens, again and again, until it is revoked", async () => {
    const { access, post } = await start();
    const first = bodyOf(await post(form({ ...signIn, access_type: "offline" })));
    const refresh = { grant_type: "refresh_token", refresh_token: String(first["refresh_token"]), service: "berth" };
    for (const access_type of ["offline", "online", "offline"]) {
      const reply = await post(form({ ...refresh, access_type, scope: "repository:a:pull" }));
      expect(bodyOf(reply)).toMatchObject({ scope: "repository:a:pull" });
      expect(bodyOf(reply)["refresh_token"]).toBe(access_type === "offline" ? first["refresh_token"] : undefined);
    }
    const caller = await access.tokens.verify(String(first["access_token"]));
    const id = caller?.principal.kind === "account" ? caller.principal.id : "";
    await access.change(({ tx }) => changePassword(tx, { id, passwordHash: "x", changedAt: 1 }));
    expect((await post(form(refresh))).status).toBe(401);
    expect((await post(form({ ...refresh, refresh_token: "berth_rt_x" }))).status).toBe(401);
  });

  test("the scope field may be repeated", async () => {
    const { post } = await start();
    const reply = await post(`${form({ ...signIn, scope: "repository:a:pull" })}&scope=repository%3Ab%3Apush`);
    expect(bodyOf(reply)["scope"]).toBe("repository:a:pull repository:b:push");
  });

  test("what is wrong with the form is named", async () => {
    const { post } = await start();
    const rows: readonly (readonly [string, string])[] = [
      ["", "invalid_request"],
      [form({ ...signIn, grant_type: "authorization_code" }), "unsupported_grant_type"],
      [form({ ...signIn, grant_type: "" }), "unsupported_grant_type"],
      [`${form(signIn)}&grant_type=password`, "invalid_request"],
      [`${form(signIn)}&password=other`, "invalid_request"],
      [form({ grant_type: "password", username: "admin" }), "invalid_request"],
      [form({ grant_type: "refresh_token" }), "invalid_request"],
      [form({ ...signIn, service: "evil" }), "invalid_request"],
      [form({ ...signIn, password: "" }), "invalid_request"],
      [form({ ...signIn, scope: "repository:a:pull ".repeat(65) }), "invalid_scope"],
    ];
    for (const [text, error] of rows) {
      const reply = await post(text);
      expect([text, reply.status, bodyOf(reply)["error"]]).toEqual([text, 400, error]);
    }
    const json = await post(form(signIn), { headers: new Map([["content-type", "application/json"]]) });
    expect(json.status).toBe(400);
    const withCharset = new Map([["content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"]]);
    expect((await post(form(signIn), { headers: withCharset })).status).toBe(200);
  });

  test("an oversized password or body is refused before anything is hashed, and not read to its end", async () => {
    const { access, post } = await start();
    expect((await post(form({ ...signIn, password: "x".repeat(1025) }))).status).toBe(400);
    const megabyte = form({ ...signIn, password: "x".repeat(1024 * 1024) });
    expect((await post(megabyte)).status).toBe(400);
    let read = 0;
    const counting = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunksOf(megabyte)) {
        read += chunk.length;
        yield chunk;
      }
    };
    expect((await post("", { body: counting(), bodyBytes: undefined })).status).toBe(400);
    expect(read).toBeLessThan(20_000);
    expect(access.passwords.verified()).toBe(0);
  });

  test("failures over all entrances and spellings have one counter, and another network none", async () => {
    const { access, get, post } = await start();
    const authenticate = authenticator(access);
    for (let attempt = 0; attempt < 4; attempt += 1) {
      expect((await get("", { authorization: basic("Admin", "wrong") })).status).toBe(401);
      expect((await post(form({ ...signIn, username: " ADMIN ", password: "wrong" }))).status).toBe(401);
    }
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const headers = new Map([["authorization", basic("admin", "wrong")]]);
      expect(await problemOf(authenticate({ headers, remoteAddress: home, requestId: "a-request" }))).toMatchObject({
        code: "UNAUTHORIZED",
      });
    }
    const blocked = { code: "TOO_MANY_REQUESTS", retryAfterSeconds: 900 };
    expect(await problemOf(get("", { authorization: basic("admin", password) }))).toMatchObject(blocked);
    expect(await problemOf(post(form(signIn)))).toMatchObject(blocked);
    const headers = new Map([["authorization", basic("admin", password)]]);
    expect(await problemOf(authenticate({ headers, remoteAddress: home, requestId: "a-request" }))).toMatchObject(
      blocked,
    );
    expect((await get("", { authorization: basic("admin", password), from: "192.0.2.2" })).status).toBe(200);
  });

  test("an unknown account and a wrong password have the same answer", async () => {
    const { post } = await start();
    const wrong = await post(form({ ...signIn, password: "wrong" }));
    const unknown = await post(form({ ...signIn, username: "nobody" }));
    expect(wrong.status).toBe(401);
    expect(unknown).toEqual(wrong);
  });
});

describeEachDatabase("GET /token/jwks.json", (_dialect, open) => {
  test("anyone can verify a token with it", async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const reply = await getJwks(access)(requestOf("GET", { path: "/token/jwks.json" }));
    expect(JSON.stringify(bodyOf(reply))).not.toContain('"d"');
    const keys = createLocalJWKSet(bodyOf(reply) as unknown as Parameters<typeof createLocalJWKSet>[0]);
    const { token } = await access.tokens.issue(undefined, []);
    const { payload } = await jwtVerify(token, keys, { algorithms: ["ES256"], audience: "berth", issuer: "berth" });
    expect(payload.sub).toBe("");
    await access.signingKeys.rotate();
    const rotated = await getJwks(access)(requestOf("GET", { path: "/token/jwks.json" }));
    expect(bodyOf(rotated)["keys"]).toHaveLength(2);
  });
});

describeEachDatabase("tokenSite", (_dialect, open) => {
  test("knows its paths as they are written, and no way around them", async () => {
    const answer = tokenSite(await openTestAccess(await open([accessMigrations])));
    const site = async (request: Incoming): Promise<Reply | undefined> => answer(request, {});
    expect(await site(requestOf("GET", {}))).toMatchObject({ status: 200 });
    expect(await site(requestOf("POST", {}))).toMatchObject({ status: 400 });
    expect(await site(requestOf("GET", { path: "/token/jwks.json" }))).toMatchObject({ status: 200 });
    const beside = ["/", "//", "/.", ";x", "%2f", "%3b", "%5c", "%23", "/x", "/../token", "/jwks.json/", "/JWKS.json"];
    for (const path of [
      ...beside.map((end) => `/token${end}`),
      "/Token",
      "/TOKEN",
      "//token",
      "/./token",
      "/%74oken",
    ]) {
      for (const method of ["GET", "POST"]) expect(await site(requestOf(method, { path }))).toBeUndefined();
    }
  });

  test("another method is told which there are", async () => {
    const answer = tokenSite(await openTestAccess(await open([accessMigrations])));
    const site = async (request: Incoming): Promise<Reply | undefined> => answer(request, {});
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]) {
      expect(await problemOf(site(requestOf(method, {})))).toMatchObject({
        code: "METHOD_UNSUPPORTED",
        allow: ["GET", "HEAD", "POST"],
      });
    }
  });
});
