import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AccessChange, changeAccess } from "../src/access/change-access.ts";
import { createGrant } from "../src/access/grants/grants.ts";
import { requireAccount } from "../src/access/require-named.ts";
import { changeRobot, createRobot, deleteRobot } from "../src/access/robots/change-robots.ts";
import { createToken, type NewToken, setTokenState } from "../src/access/tokens/change-tokens.ts";
import { parseTokenScopes } from "../src/access/tokens/token-scopes.ts";
import type { Database } from "../src/platform/database/database.ts";
import { openDatabase } from "../src/platform/database/open-database.ts";
import { claimsOf, tokenReply } from "./protocol/bearer.ts";
import { pushImage } from "./protocol/content.ts";
import { basic, type Registry, registryOf } from "./protocol/registry-client.ts";
import { createTestDatabase, describeEachDatabase } from "./support/databases.ts";
import { scopeNamed } from "./support/rights.ts";
import { startServer, type TestServer } from "./support/server.ts";

const limits = { defaultDays: 90, maximumDays: 365 };
const form = { "Content-Type": "application/x-www-form-urlencoded" };

/** Several processes on one database, and this one, which makes and ends tokens as the command line does. */
describeEachDatabase("tokens, on every process of a registry", (dialect) => {
  const used = new AsyncDisposableStack();
  const servers: TestServer[] = [];
  let database: Database;
  const admin = (): Registry => registryOf(servers[0] as TestServer);

  beforeAll(async () => {
    const stored = used.use(await createTestDatabase(dialect));
    const env = { BERTH_DATABASE_URL: stored.url, BERTH_SECRET: "the same secret for all of the replicas" };
    // On SQLite two processes of one server; on PostgreSQL two servers that share the bytes.
    const workers = { BERTH_HTTP_WORKERS: dialect === "sqlite" ? "2" : "1" };
    servers.push(used.use(await startServer({ env: { ...env, ...workers } })));
    if (dialect === "postgres") servers.push(used.use(await startServer({ env: { ...env, ...workers } })));
    database = await openDatabase({ url: stored.url });
    used.defer(() => database.close());
    await pushImage(admin(), "acme/app", { tag: "v1" });
  }, 120_000);
  afterAll(() => used.disposeAsync());

  const change = <T>(work: (change: AccessChange) => Promise<T>): Promise<T> =>
    changeAccess({ database, now: Date.now }, "operator", work);
  const make = (wanted: NewToken) => change((tx) => createToken(tx, limits, wanted));
  const adminsToken = async (scopes: readonly string[]) =>
    make({
      owner: { kind: "account", ...(await requireAccount(database.read, "admin")) },
      name: "ci",
      scopes: parseTokenScopes(scopes),
    });

  /** Several connections to each server: whichever process answers, the answer is the same. */
  const pulls = async (authorization: string, connections = 8): Promise<readonly number[]> => {
    const path = "/v2/acme/app/manifests/v1";
    const asked = servers.flatMap((server) =>
      Array.from({ length: connections }, () => registryOf(server).as(authorization).send("GET", path)),
    );
    return [...new Set((await Promise.all(asked)).map(({ status }) => status))];
  };
  /** What is wrong counts, and after ten times is answered otherwise. */
  const few = 2;
  const bearer = async (credentials: string, actions = "pull"): Promise<string> => {
    const path = `/token?service=berth&scope=repository:acme/app:${actions}&offline_token=true`;
    return tokenReply(await admin().as(credentials).send("GET", path)).token;
  };

  const status = async (authorization: string, [method, path]: readonly [string, string], body?: unknown) => {
    const headers = { "content-type": "application/json", "if-match": "*" };
    const call = { headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return (await admin().as(authorization).send(method, `/api/v1${path}`, call)).status;
  };

  test("pull and push what they are for, until they are revoked: then with the next request nothing", async () => {
    const { id, text } = await adminsToken(["acme/**:read"]);
    const credentials = basic("admin", text);
    const token = await bearer(credentials, "pull,push,delete");
    expect(claimsOf(token).access).toEqual([{ type: "repository", name: "acme/app", actions: ["pull"] }]);
    const issued = `Bearer ${token}`;
    for (let round = 0; round < 3; round += 1)
      expect([await pulls(credentials), await pulls(issued)]).toEqual([[200], [200]]);
    const upload = await admin().as(credentials).send("POST", "/v2/acme/app/blobs/uploads/", { body: "" });
    expect(upload.status).toBe(403);
    await change((tx) => setTokenState(tx, { id, state: "disabled" }));
    expect([await pulls(credentials, 1), await pulls(issued)]).toEqual([[401], [401]]);
    await change((tx) => setTokenState(tx, { id, state: "active" }));
    expect([await pulls(credentials), await pulls(issued)]).toEqual([[200], [200]]);
    await change((tx) => setTokenState(tx, { id, state: "revoked" }));
    expect([await pulls(credentials, few), await pulls(issued)]).toEqual([[401], [401]]);
    const [revoked, unknown] = await Promise.all(
      [credentials, basic("admin", "a wrong password")].map((one) =>
        admin().as(one).send("GET", "/token?service=berth"),
      ),
    );
    expect([revoked?.status, revoked?.text]).toEqual([401, unknown?.text ?? ""]);
  }, 60_000);

  test("get no refresh token, which would outlive them", async () => {
    const { text } = await adminsToken(["acme/**:read"]);
    const got = [
      await admin().as(basic("admin", text)).send("GET", "/token?service=berth&offline_token=true"),
      await admin()
        .as(undefined)
        .send("POST", "/token", {
          headers: form,
          body: `grant_type=password&service=berth&access_type=offline&username=admin&password=${text}`,
        }),
    ];
    for (const answer of got) {
      expect(answer.status).toBe(200);
      expect(tokenReply(answer).refresh_token).toBeUndefined();
    }
    const byPassword = await admin().send("GET", "/token?service=berth&offline_token=true");
    expect(tokenReply(byPassword).refresh_token).toBeString();
  }, 60_000);

  test("open the API as far as they are for it, and never passwords, sessions, or other tokens", async () => {
    const [reading, images] = [await adminsToken(["**:account:read"]), await adminsToken(["**:read,create,update"])];
    for (const authorization of [`Bearer ${reading.text}`, basic("admin", reading.text)]) {
      expect(await status(authorization, ["GET", "/accounts"])).toBe(200);
      expect(await status(authorization, ["GET", "/me"])).toBe(200);
      expect(await status(authorization, ["PATCH", "/accounts/admin"], { displayName: "x" })).toBe(403);
    }
    expect(await status(`Bearer ${images.text}`, ["GET", "/accounts"])).toBe(403);
    const own = { current: servers[0]?.admin.password, password: "another-long-password" };
    expect(await status(`Bearer ${reading.text}`, ["PUT", "/me/password"], own)).toBe(403);
    const wide = await adminsToken(["**:account:update,account:read"]);
    const password = { password: "another-long-password" };
    expect(await status(`Bearer ${wide.text}`, ["PUT", "/accounts/admin/password"], password)).toBe(403);
    const session = { name: "admin", password: wide.text };
    expect(await status(`Bearer ${wide.text}`, ["POST", "/session"], session)).toBe(401);
    // A token of the registry protocol is for that alone.
    const registryToken = await bearer(basic("admin", servers[0]?.admin.password ?? ""));
    expect(await status(`Bearer ${registryToken}`, ["GET", "/accounts"])).toBe(401);
  }, 60_000);

  test("of a robot are its passwords, and end with it", async () => {
    const robot = await change((tx) => createRobot(tx, { name: "ci" }));
    const { text } = await make({ owner: { kind: "robot", id: robot.id, name: robot.name }, name: "first" });
    const credentials = basic("robot$ci", text);
    expect(await pulls(credentials)).toEqual([403]);
    await change((tx) =>
      createGrant(tx, {
        to: { kind: "robot", name: robot.name },
        role: "developer",
        on: scopeNamed("repository acme/app"),
      }),
    );
    const issued = `Bearer ${await bearer(credentials, "pull,push")}`;
    expect([await pulls(credentials), await pulls(issued)]).toEqual([[200], [200]]);
    const begun = await admin().as(issued).send("POST", "/v2/acme/app/blobs/uploads/", { body: "" });
    expect(begun.status).toBe(202);
    await change((tx) => changeRobot(tx, { name: robot.name, disabled: true }));
    expect([await pulls(credentials, few), await pulls(issued)]).toEqual([[401], [401]]);
    await change((tx) => changeRobot(tx, { name: robot.name, disabled: false }));
    // What was issued before stays void.
    expect([await pulls(credentials), await pulls(issued)]).toEqual([[200], [401]]);
    await change((tx) => deleteRobot(tx, robot.name));
    expect([await pulls(credentials, few), await pulls(issued)]).toEqual([[401], [401]]);
  }, 60_000);
});
