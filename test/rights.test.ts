import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, createAccount, deleteAccount, findAccountByName, setDisabled } from "../src/access/accounts.ts";
import { parseAccountName } from "../src/access/account-name.ts";
import { type AccessChange, changeAccess } from "../src/access/change-access.ts";
import type { Conditions, Grantee } from "../src/access/grants/grant.ts";
import { changeRole, createRole } from "../src/access/grants/custom-roles.ts";
import { createGrant, deleteGrant } from "../src/access/grants/grants.ts";
import { removeMember, setMember } from "../src/access/organizations/members.ts";
import { changeNamespace, changeVisibility } from "../src/access/organizations/namespaces.ts";
import { createOrganization } from "../src/access/organizations/organizations.ts";
import { addToTeam, createTeam, removeFromTeam } from "../src/access/organizations/teams.ts";
import type { Database } from "../src/platform/database/database.ts";
import { openDatabase } from "../src/platform/database/open-database.ts";
import { createProtection, deleteProtection } from "../src/access/protections/protections.ts";
import { createPasswords } from "../src/platform/passwords/passwords.ts";
import { tokenReply } from "./protocol/bearer.ts";
import { absentDigest, mediaTypes, type PushedImage, pushImage } from "./protocol/content.ts";
import { type Answer, basic, problemsOf, type Registry, registryOf } from "./protocol/registry-client.ts";
import { createTestDatabase, describeEachDatabase } from "./support/databases.ts";
import { repositoryName } from "./support/registry.ts";
import { scopeNamed } from "./support/rights.ts";
import { startServer, type TestServer } from "./support/server.ts";

const password = "a password that is long";
const indexPush = { headers: { "Content-Type": mediaTypes.index }, body: '{"schemaVersion":2,"manifests":[]}' };
const otherPush = {
  headers: { "Content-Type": mediaTypes.index },
  body: '{"schemaVersion":2,"manifests":[],"annotations":{"a":"b"}}',
};

const begin = (who: Registry, name: string): Promise<Answer> =>
  who.send("POST", `/v2/${name}/blobs/uploads/`, { body: "" });

const bearerFor = async (who: Registry, scope: string): Promise<string> =>
  `Bearer ${tokenReply(await who.send("GET", `/token?service=berth&scope=${scope}`)).token}`;

const comparable = (answer: Answer, of: string): unknown => {
  const { date: _date, "x-request-id": _id, ...headers } = answer.headers;
  return JSON.parse(JSON.stringify({ status: answer.status, headers, text: answer.text }).replaceAll(of, "<name>"));
};

const digestsOf = (who: Registry): Promise<readonly (string | undefined)[]> =>
  Promise.all(
    ["latest", "v9"].map(async (tag) =>
      (await who.send("HEAD", `/v2/acme/tags/manifests/${tag}`)).header("docker-content-digest"),
    ),
  );

/** Several processes on one database, and this one, which changes rights as the command line does. */
describeEachDatabase("rights, on every process of a registry", (dialect) => {
  const used = new AsyncDisposableStack();
  const servers: TestServer[] = [];
  let database: Database;
  let image: PushedImage;

  beforeAll(async () => {
    const stored = used.use(await createTestDatabase(dialect));
    const env = { BERTH_DATABASE_URL: stored.url, BERTH_SECRET: "the same secret for all of the replicas" };
    // On SQLite two processes of one server; on PostgreSQL two servers that share the bytes.
    const first = used.use(
      await startServer({ env: { ...env, BERTH_HTTP_WORKERS: dialect === "sqlite" ? "2" : "1" } }),
    );
    servers.push(first);
    if (dialect === "postgres") servers.push(used.use(await startServer({ env: { ...env, BERTH_HTTP_WORKERS: "1" } })));
    database = await openDatabase({ url: stored.url });
    used.defer(() => database.close());
    await change(async (tx) => void (await createOrganization(tx, { name: "acme" })));
    image = await pushImage(registryOf(first), "acme/app", { tag: "v1" });
  }, 120_000);
  afterAll(() => used.disposeAsync());

  const change = <T>(work: (change: AccessChange) => Promise<T>): Promise<T> =>
    changeAccess({ database, now: Date.now }, "operator", work);
  async function addAccount(text: string): Promise<Account> {
    const name = parseAccountName(text);
    if (name === undefined) throw new Error(`no name: ${text}`);
    const passwordHash = await createPasswords({ concurrent: 1, waiting: 9 }).hash(password);
    await database.write((tx) =>
      createAccount(tx, { name, passwordHash, administrator: false, createdAt: Date.now() }),
    );
    return (await findAccountByName(database, name)) ?? Promise.reject(new Error(`${text} was not made`));
  }
  const grantTo = (
    to: Grantee,
    role: string,
    { on, ...conditions }: { readonly on: string } & Conditions,
  ): Promise<string> => change((tx) => createGrant(tx, { to, role, on: scopeNamed(on), conditions }));
  const acme = () => database.read.selectFrom("organizations").select(["id", "name"]).executeTakeFirstOrThrow();
  const asUser = (name: string): Registry => admin().as(basic(name, password));
  const admin = (): Registry => registryOf(servers[0] as TestServer);

  /** Eight connections to each server: whichever process answers, the answer is the same. */
  const pulls = async (authorization: string | undefined): Promise<readonly number[]> => {
    const asked = servers.flatMap((server) =>
      Array.from({ length: 8 }, () => registryOf(server).as(authorization).send("HEAD", "/v2/acme/app/manifests/v1")),
    );
    return [...new Set((await Promise.all(asked)).map(({ status }) => status))];
  };

  test("are given and taken with the next request, to passwords and to tokens that are out already", async () => {
    const ann = await addAccount("ann");
    const credentials = basic("ann", password);
    expect(await pulls(credentials)).toEqual([403]);
    const id = await grantTo({ kind: "account", name: "ann" }, "developer", { on: "namespace acme" });
    const token = await bearerFor(asUser("ann"), "repository:acme/app:pull,push");
    for (let round = 0; round < 3; round += 1)
      expect([await pulls(credentials), await pulls(token)]).toEqual([[200], [200]]);
    await change((tx) => deleteGrant(tx, id));
    expect([await pulls(credentials), await pulls(token)]).toEqual([[403], [401]]);
    await change(async ({ tx }) => setDisabled(tx, ann.id, true));
    expect(await pulls(token)).toEqual([401]);
    await change(async ({ tx }) => setDisabled(tx, ann.id, false));
    await change(async ({ tx }) => deleteAccount(tx, ann.id));
    expect([await pulls(credentials), await pulls(token)]).toEqual([[401], [401]]);
    await addAccount("ann");
    // The name is the same, the account is another.
    expect([await pulls(credentials), await pulls(token)]).toEqual([[403], [401]]);
  }, 60_000);

  test("of a team count for whoever is in it, for as long as they are", async () => {
    const account = await addAccount("tess");
    const organization = await acme();
    const team = await change(async (tx) => {
      await setMember(tx, { organization, account, role: "member" });
      return createTeam(tx, { organization, name: "dev" });
    });
    await grantTo({ kind: "team", name: "acme/dev" }, "guest", { on: "pattern acme/*" });
    expect(await pulls(basic("tess", password))).toEqual([403]);
    await change((tx) => addToTeam(tx, { team, account }));
    expect(await pulls(basic("tess", password))).toEqual([200]);
    await change((tx) => removeFromTeam(tx, { team, account }));
    expect(await pulls(basic("tess", password))).toEqual([403]);
  }, 60_000);

  test("of a role are what the role is now, and those of an owner end with being one", async () => {
    const account = await addAccount("rolf");
    const credentials = basic("rolf", password);
    await change((tx) => createRole(tx, { name: "puller", permissions: ["repository:read"] }));
    const id = await grantTo({ kind: "account", name: "rolf" }, "puller", { on: "namespace acme" });
    const token = await bearerFor(asUser("rolf"), "repository:acme/app:pull");
    expect([await pulls(credentials), await pulls(token)]).toEqual([[200], [200]]);
    await change((tx) => changeRole(tx, { name: "puller", permissions: ["description:read"] }));
    expect([await pulls(credentials), await pulls(token)]).toEqual([[403], [401]]);
    await change((tx) => changeRole(tx, { name: "puller", permissions: ["repository:read"] }));
    expect([await pulls(credentials), await pulls(token)]).toEqual([[200], [200]]);
    await change((tx) => deleteGrant(tx, id));

    const organization = await acme();
    // The last owner stays.
    const olga = await addAccount("olga");
    await change((tx) => setMember(tx, { organization, account: olga, role: "owner" }));
    for (const role of ["owner", "member"] as const) {
      await change((tx) => setMember(tx, { organization, account, role }));
      expect([await pulls(credentials), await pulls(token)]).toEqual(
        role === "owner" ? [[200], [200]] : [[403], [401]],
      );
    }
    await change((tx) => setMember(tx, { organization, account, role: "owner" }));
    expect(await pulls(credentials)).toEqual([200]);
    await change((tx) => removeMember(tx, { organization, account }));
    expect([await pulls(credentials), await pulls(token)]).toEqual([[403], [401]]);
  }, 60_000);

  test("follow a repository's visibility, and private is as if it were not there", async () => {
    await addAccount("vera");
    const name = repositoryName("acme/app");
    expect([await pulls(undefined), await pulls(basic("vera", password))]).toEqual([[401], [403]]);
    await change((tx) => changeVisibility(tx, { name, visibility: "internal" }));
    expect([await pulls(undefined), await pulls(basic("vera", password))]).toEqual([[401], [200]]);
    await change((tx) => changeVisibility(tx, { name, visibility: "public" }));
    for (let round = 0; round < 3; round += 1) expect(await pulls(undefined)).toEqual([200]);
    await change((tx) => changeVisibility(tx, { name, visibility: "private" }));
    expect([await pulls(undefined), await pulls(basic("vera", password))]).toEqual([[401], [403]]);

    const vera = asUser("vera");
    const requests: readonly (readonly [string, string, object?])[] = [
      ["GET", "manifests/v1"],
      ["GET", `manifests/${image.digest}`],
      ["GET", `blobs/${image.config.digest}`],
      ["HEAD", `blobs/${image.config.digest}`],
      ["GET", "tags/list"],
      ["GET", `referrers/${image.digest}`],
      ["DELETE", "manifests/v1"],
      ["POST", "blobs/uploads/", { body: "" }],
      ["PUT", "manifests/v1", indexPush],
    ];
    for (const [method, path, call] of requests) {
      const hidden = comparable(await vera.send(method, `/v2/acme/app/${path}`, call), "acme/app");
      expect(hidden).toEqual(comparable(await vera.send(method, `/v2/acme/nil/${path}`, call), "acme/nil"));
    }
  }, 60_000);

  test("on tags are apart: who may create does not move, delete, or push by digest to a tag that is there", async () => {
    await addAccount("cora");
    await change(async (tx) => {
      await createRole(tx, { name: "creator", permissions: ["repository:read", "repository:create"] });
    });
    await grantTo({ kind: "account", name: "cora" }, "creator", { on: "namespace acme" });
    const cora = asUser("cora");
    for (const tag of ["latest", "v9"]) await pushImage(admin(), "acme/tags", { tag });
    const before = await digestsOf(admin());
    const put = async (reference: string): Promise<number> =>
      (await cora.send("PUT", `/v2/acme/tags/manifests/${reference}`, otherPush)).status;
    expect([await put("latest"), await put("v9"), await put("LATEST")]).toEqual([403, 403, 201]);
    const made = (await cora.send("HEAD", "/v2/acme/tags/manifests/LATEST")).header("docker-content-digest") ?? "";
    expect([await put(`${made}?tag=new&tag=v9`), await put(`${made}?tag=latest`)]).toEqual([403, 403]);
    expect((await cora.send("HEAD", "/v2/acme/tags/manifests/new")).status).toBe(404);
    for (const reference of ["v9", made])
      expect((await cora.send("DELETE", `/v2/acme/tags/manifests/${reference}`)).status).toBe(403);
    expect(await digestsOf(admin())).toEqual(before);
    expect(await put(`${made}?tag=a&tag=b`)).toBe(201);
  }, 60_000);

  test("keep protected tags from those of a lower role, by tag, by digest, by copy and with what they need", async () => {
    await addAccount("paul");
    await grantTo({ kind: "account", name: "paul" }, "maintainer", { on: "namespace acme" });
    const paul = asUser("paul");
    const pushed = await pushImage(admin(), "acme/kept", { tag: "v1" });
    await pushImage(admin(), "acme/kept", { tag: "dev" });
    const name = repositoryName("acme/kept");
    const roles = { create: "project-admin", update: "project-admin", delete: "project-admin" } as const;
    const rule = await change((tx) => createProtection(tx, { kind: "repository", name }, { pattern: "v*", roles }));
    const put = async (reference: string): Promise<number> =>
      (await paul.send("PUT", `/v2/acme/kept/manifests/${reference}`, otherPush)).status;
    expect([await put("v1"), await put("v2"), await put("dev")]).toEqual([403, 403, 201]);
    const made = (await paul.send("HEAD", "/v2/acme/kept/manifests/dev")).header("docker-content-digest") ?? "";
    expect([await put(`${made}?tag=new&tag=v1`), await put(`${made}?tag=v3`), await put(`${made}?tag=new`)]).toEqual([
      403, 403, 201,
    ]);
    const copy = await paul.send("PUT", "/api/v1/repositories/acme/kept/tags/v1", {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ reference: "dev", from: "acme/kept" }),
    });
    expect(copy.status).toBe(403);
    const remove = async (path: string): Promise<number> => (await paul.send("DELETE", `/v2/acme/kept/${path}`)).status;
    const withoutTag = [`manifests/${pushed.digest}`, `blobs/${pushed.config.digest}`];
    expect(await Promise.all(["manifests/v1", ...withoutTag].map(remove))).toEqual([403, 403, 403]);
    const kept = await admin().send("HEAD", "/v2/acme/kept/manifests/v1");
    expect(kept.header("docker-content-digest")).toBe(pushed.digest);
    expect(await remove("manifests/dev")).toBe(202);
    await change((tx) => deleteProtection(tx, rule.id));
    expect(await remove("manifests/v1")).toBe(202);
  }, 60_000);

  test("limited to tags move and delete those alone, and nothing by digest", async () => {
    await addAccount("dora");
    await grantTo({ kind: "account", name: "dora" }, "maintainer", { on: "namespace acme", tags: "dev-*" });
    const dora = asUser("dora");
    const pushed = await pushImage(admin(), "acme/limited", { tag: "prod" });
    const put = async (tag: string): Promise<number> =>
      (await dora.send("PUT", `/v2/acme/limited/manifests/${tag}`, indexPush)).status;
    expect([await put("dev-1"), await put("prod"), await put("xdev-1")]).toEqual([201, 403, 403]);
    const remove = async (path: string): Promise<number> =>
      (await dora.send("DELETE", `/v2/acme/limited/${path}`)).status;
    const blob = `blobs/${pushed.config.digest}`;
    expect([await remove(`manifests/${pushed.digest}`), await remove("manifests/prod"), await remove(blob)]).toEqual([
      403, 403, 403,
    ]);
    expect(await remove("manifests/dev-1")).toBe(202);
  }, 60_000);

  test("to make a repository are the namespace's rule, and what is missing is told to those who may read there", async () => {
    await addAccount("nina");
    await grantTo({ kind: "account", name: "nina" }, "developer", { on: "namespace acme" });
    const [nina, stranger] = [asUser("nina"), asUser("vera")];
    expect((await begin(nina, "acme/first")).status).toBe(202);
    await change((tx) => changeNamespace(tx, { name: "acme", createOnPush: "project-admins" }));
    const refused = await begin(nina, "acme/second");
    expect([refused.status, problemsOf(refused)[0]?.code]).toEqual([403, "DENIED"]);
    expect(problemsOf(refused)[0]?.message).toContain("does not exist");
    expect(problemsOf(await begin(stranger, "acme/second"))[0]?.message).toBe(
      "requested access to the resource is denied",
    );
    const token = await bearerFor(nina, "repository:acme/second:pull,push");
    expect(problemsOf(await begin(admin().as(token), "acme/second"))[0]?.message).toContain("does not exist");
    expect((await begin(nina, "acme/app")).status).toBe(202);
    expect((await begin(admin(), "acme/second")).status).toBe(202);
    await change((tx) => changeNamespace(tx, { name: "acme", createOnPush: "nobody" }));
    expect((await begin(admin(), "acme/third")).status).toBe(403);
    await change((tx) => changeNamespace(tx, { name: "acme", createOnPush: "developers" }));
    expect((await begin(nina, "acme/third")).status).toBe(202);
  }, 60_000);

  test("on one repository open no blob of another, and no mount from it", async () => {
    await addAccount("mona");
    await grantTo({ kind: "account", name: "mona" }, "developer", { on: "pattern acme/mona-*" });
    const secret = await pushImage(admin(), "acme/secret", { tag: "v1" });
    const mona = asUser("mona");
    await pushImage(mona, "acme/mona-app", { tag: "v1" });
    const { digest } = secret.config;
    expect((await mona.send("HEAD", `/v2/acme/mona-app/blobs/${digest}`)).status).toBe(404);
    for (const query of [
      `mount=${digest}&from=acme/secret`,
      `mount=${digest}`,
      `mount=${digest}&from=acme/absent`,
      `mount=${absentDigest()}`,
    ]) {
      expect((await mona.send("POST", `/v2/acme/mona-app/blobs/uploads/?${query}`, { body: "" })).status).toBe(202);
    }
    const names = (await mona.send("GET", "/v2/_catalog?n=1000")).json() as { repositories: string[] };
    expect(names.repositories.filter((name) => name.startsWith("acme/"))).toEqual(["acme/mona-app"]);
  }, 60_000);
});
