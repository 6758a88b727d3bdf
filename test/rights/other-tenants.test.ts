import { beforeAll, expect, it } from "bun:test";
import { randomUUID } from "node:crypto";
import { freshName, password, useApi } from "../api/checked-api.ts";
import { absentDigest, mediaTypes } from "../protocol/content.ts";
import { type Answer, basic } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { apiMatrix, type ApiRow, protocolMatrix, type ProtocolRow } from "./route-matrix.ts";
import { type ApiAsking, apiRequests, protocolRequests, requestOf } from "./route-requests.ts";
import { addAccount, addRobot, addTenant, grantOn, succeed, type Tenant } from "./tenant.ts";

const fixed = { fresh: () => "a-fresh-name" } as const;

/** Names and ids of the same form, of which there are none. */
function nothingLike(tenant: Tenant): Tenant {
  const organization = freshName("none");
  const ids = { accountToken: randomUUID(), grant: randomUUID(), protection: randomUUID(), rule: randomUUID() };
  const robotToken = randomUUID();
  return {
    ...tenant,
    ...ids,
    upload: randomUUID(),
    ...fixed,
    organization,
    repository: `${organization}/app`,
    sibling: `${organization}/sibling`,
    namespaceBelow: `${organization}/below`,
    account: freshName("none"),
    robot: `robot$${organization}+ci`,
    robotToken,
    digest: absentDigest(),
    blob: absentDigest(),
    newToken: async () => robotToken,
  };
}

/** What tells one answer from another, with the tenant's names and ids taken out. */
function told({ status, headers, text }: Answer, tenant: Tenant): unknown {
  const { date: _date, "content-length": _length, "x-request-id": id = "", ...rest } = headers;
  let whole = JSON.stringify({ status, headers: rest, text: text.replaceAll(id, "<request>") });
  const names = Object.entries(tenant).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  for (const [key, name] of names.toSorted(([, one], [, other]) => other.length - one.length)) {
    whole = whole.replaceAll(name, `<${key}>`);
  }
  return JSON.parse(whole);
}

/** What is not to be seen is told to be none; where the whole instance is asked, or people alone, it is a denial. */
function statusOf(row: string, by: string): number {
  if (/\/(?:accounts|uploads|groups)\b|\| of another account/.test(row)) return 403;
  return by === "a robot" && row === "POST /robots/{robot}/workload-rules" ? 403 : 404;
}

interface Asker {
  readonly what: string;
  readonly authorization: string;
}

/** The rows whose request says something of the tenant. */
async function rowsAbout<R extends string>(
  rows: readonly R[],
  said: (row: R, tenant: Tenant) => Promise<string>,
  tenants: readonly [Tenant, Tenant],
): Promise<readonly R[]> {
  const found: R[] = [];
  for (const row of rows) if ((await said(row, tenants[0])) !== (await said(row, tenants[1]))) found.push(row);
  return found;
}

/** For good, and not for show. */
const inEarnest = ({ query = {}, ...asked }: ApiAsking): ApiAsking => {
  const { dryRun: _, ...rest } = query;
  return { ...asked, query: rest };
};

const apiRequest = async (row: ApiRow, tenant: Tenant) => {
  const asked = inEarnest(await apiRequests[row](tenant, "somebody-else"));
  return { ...requestOf(row, tenant, asked), json: asked.json, headers: asked.headers };
};

const protocolRequest = async (row: ProtocolRow, tenant: Tenant) => {
  const { headers = {}, body, ...asked } = await protocolRequests[row](tenant, "somebody-else");
  return { ...requestOf(row, tenant, asked), call: { headers, ...(body !== undefined && { body }) } };
};

describeEachDatabase("what another organization has", (dialect) => {
  const api = useApi({ dialect });
  let ours: Tenant;
  let theirs: Tenant;
  let nothing: Tenant;
  let askers: readonly Asker[] = [];

  beforeAll(async () => {
    ours = await addTenant(api);
    const made = await addTenant(api);
    theirs = { ...made, ...fixed, newToken: async () => made.robotToken };
    nothing = nothingLike(theirs);
    const admin = freshName("admin");
    await addAccount(api, admin);
    await grantOn(api, ours.organization, { role: "project-admin", to: { kind: "account", name: admin } });
    askers = [
      { what: "a project-admin", authorization: basic(admin, password) },
      { what: "a member", authorization: basic(ours.account, password) },
      { what: "a robot", authorization: await addRobot(api, ours.organization, "project-admin") },
    ];
  }, 60_000);

  /** All that an administrator sees of it. */
  const stateOf = async ({ organization, repository, robot, account, digest, blob, role }: Tenant) => {
    const encoded = encodeURIComponent(repository);
    const paths = ["", ...["members", "teams", "teams/dev/members", "grants"].map((path) => `/${path}`)].map(
      (path) => `/organizations/${organization}${path}`,
    );
    const ofNamespace = ["", "/grants", "/protections"].map((path) => `/namespaces/${organization}${path}`);
    const ofRepository = ["", "/grants", "/protections", "/tags", "/manifests", "/description"].map(
      (path) => `/repositories/${encoded}${path}`,
    );
    const others = [
      `/repositories?prefix=${organization}`,
      `/namespaces/${organization}%2Fbelow`,
      `/robots?organization=${organization}`,
      `/tokens?robot=${encodeURIComponent(robot)}`,
      `/tokens?account=${account}`,
      `/accounts/${account}`,
      `/grants?account=${account}`,
      `/repositories/${encoded}/manifests/${digest}`,
    ];
    const state: Record<string, unknown> = {};
    for (const path of [...paths, ...ofNamespace, ...ofRepository, ...others]) {
      state[path] = (await succeed(api, `GET ${path}`)).json();
    }
    const uploads = (await succeed(api, "GET /uploads?limit=1000")).json() as {
      readonly items: readonly { readonly repository: string }[];
    };
    state["uploads"] = uploads.items.filter((one) => one.repository === repository);
    state["blob"] = (await api.registry.send("HEAD", `/v2/${repository}/blobs/${blob}`)).status;
    state["role"] = (await succeed(api, "GET /roles?limit=1000")).text.includes(role);
    return state;
  };

  const askApi = async (row: ApiRow, tenant: Tenant, { authorization }: Asker): Promise<Answer> => {
    const { method, path, json, headers } = await apiRequest(row, tenant);
    return api.ask(method, path, { as: null, json, headers: { ...headers, authorization } });
  };

  it("is to the API as if it were not there, by its names and by its ids, and stays as it is", async () => {
    const rows = await rowsAbout(
      (Object.keys(apiMatrix) as ApiRow[]).filter((row) => row !== "POST /session"),
      async (row, tenant) => JSON.stringify(await apiRequest(row, tenant)),
      [theirs, nothing],
    );
    // All but what is of oneself, lists of everything, and what the instance alone has.
    expect(rows.length).toBeGreaterThan(55);
    const before = await stateOf(theirs);
    for (const asker of askers) {
      for (const row of rows) {
        const [answer, absent] = [await askApi(row, theirs, asker), await askApi(row, nothing, asker)];
        const about = { row, by: asker.what };
        expect({ ...about, told: told(answer, theirs) }).toEqual({ ...about, told: told(absent, nothing) });
        expect({ ...about, status: answer.status }).toEqual({ ...about, status: statusOf(row, asker.what) });
      }
    }
    expect(await stateOf(theirs)).toEqual(before);
  }, 120_000);

  it("is to the registry as if it were not there", async () => {
    const rows = await rowsAbout(
      Object.keys(protocolMatrix) as ProtocolRow[],
      async (row, tenant) => (await protocolRequest(row, tenant)).path,
      [theirs, nothing],
    );
    expect(rows.length).toBeGreaterThan(20);
    const before = await stateOf(theirs);
    for (const asker of askers) {
      for (const row of rows) {
        const ask = async (tenant: Tenant): Promise<Answer> => {
          const { method, path, call } = await protocolRequest(row, tenant);
          return api.registry.as(asker.authorization).send(method, path, call);
        };
        const [answer, absent] = [await ask(theirs), await ask(nothing)];
        const about = { row, by: asker.what };
        expect({ ...about, told: told(answer, theirs) }).toEqual({ ...about, told: told(absent, nothing) });
        expect({ ...about, status: answer.status }).toEqual({ ...about, status: 403 });
      }
    }
    expect(await stateOf(theirs)).toEqual(before);
  }, 60_000);

  it("is not to be had in one's own: by copy, mount, manifest, grant, team or robot", async () => {
    const [admin] = askers;
    const { authorization = "" } = admin ?? {};
    const repository = encodeURIComponent(ours.repository);
    const role = "guest";
    const here = { kind: "organization", name: ours.organization };
    const grants = (tenant: Tenant): readonly object[] => [
      { role, to: { kind: "team", name: `${tenant.organization}/dev` }, on: here },
      { role, to: { kind: "robot", name: tenant.robot }, on: here },
      { role, to: { kind: "robot", name: tenant.robot.slice("robot$".length).toUpperCase() }, on: here },
      { role, to: { kind: "signed-in" }, on: { kind: "organization", name: tenant.organization } },
      { role, to: { kind: "signed-in" }, on: { kind: "namespace", name: tenant.namespaceBelow } },
      { role, to: { kind: "signed-in" }, on: { kind: "repository", name: tenant.repository } },
      { role, to: { kind: "signed-in" }, on: { kind: "pattern", pattern: `${tenant.organization}/a*` } },
      { role, to: { kind: "signed-in" }, on: { kind: "pattern", pattern: `${tenant.organization}/**` } },
    ];
    const requests = (tenant: Tenant) => [
      ...grants(tenant).map((json) => ["POST", "/grants", json] as const),
      ["PUT", `/repositories/${repository}/tags/taken`, { reference: "v1", from: tenant.repository }] as const,
      ["PUT", `/repositories/${repository}/tags/taken`, { reference: tenant.digest, from: tenant.repository }] as const,
      ["PUT", `/repositories/${repository}/tags/taken`, { reference: tenant.digest }] as const,
      ["GET", `/repositories/${repository}/manifests/${tenant.digest}`] as const,
    ];
    const before = await stateOf(theirs);
    const ask = async (tenant: Tenant): Promise<readonly unknown[]> => {
      const answers: unknown[] = [];
      for (const [method, path, json] of requests(tenant)) {
        const answer = await api.ask(method, path, { as: null, json, headers: { authorization } });
        expect([403, 404]).toContain(answer.status);
        answers.push(told(answer, tenant));
      }
      return answers;
    };
    expect(await ask(theirs)).toEqual(await ask(nothing));

    const registry = api.registry.as(authorization);
    const from = `/v2/${ours.repository}`;
    for (const tenant of [theirs, nothing]) {
      const mount = `${from}/blobs/uploads/?mount=${tenant.blob}&from=${encodeURIComponent(tenant.repository)}`;
      expect((await registry.send("POST", mount, { body: "" })).status).toBe(202);
      expect((await registry.send("POST", `${from}/blobs/uploads/?mount=${tenant.blob}`, { body: "" })).status).toBe(
        202,
      );
      expect((await registry.send("HEAD", `${from}/blobs/${tenant.blob}`)).status).toBe(404);
      const config = { mediaType: mediaTypes.config, digest: tenant.blob, size: 64 };
      const image = { schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [] };
      const call = { headers: { "content-type": mediaTypes.image }, body: JSON.stringify(image) };
      expect((await registry.send("PUT", `${from}/manifests/taken`, call)).status).toBe(400);
    }
    expect(await stateOf(theirs)).toEqual(before);
  }, 60_000);

  it("is kept apart where names are patterns to a database", async () => {
    const stem = freshName("a");
    const [plain, pattern] = [`${stem}xb`, `${stem}_b`];
    for (const name of [plain, pattern]) {
      await succeed(api, "POST /organizations", { json: { name } });
      await succeed(api, "POST /robots", { json: { name: "ci", organization: name } });
      await succeed(api, "POST /repositories", { json: { name: `${name}/app` } });
      await succeed(api, "POST /namespaces", { json: { name: `${name}/below` } });
    }
    const names = async (path: string): Promise<readonly string[]> => {
      const { items } = (await succeed(api, `GET ${path}`)).json() as {
        readonly items: readonly { readonly name: string }[];
      };
      return items.map(({ name }) => name);
    };
    expect(await names(`/robots?organization=${pattern}`)).toEqual([`robot$${pattern}+ci`]);
    expect(await names(`/repositories?prefix=${pattern}`)).toEqual([`${pattern}/app`]);
    for (const text of ["%25", "_", `${stem}%25`, `${stem}%5C_`]) {
      expect([text, await names(`/repositories?prefix=${text}`)]).toEqual([text, []]);
    }
    await succeed(api, `PUT /namespaces/${pattern}/rules`, {
      json: { visibility: "internal" },
      headers: { "if-match": "*" },
    });
    expect((await succeed(api, `GET /namespaces/${plain}`)).json()).toMatchObject({ visibility: "private" });
    await succeed(api, `DELETE /namespaces/${pattern}%2Fbelow`);
    const rows = [`/organizations/${plain}`, `/namespaces/${plain}%2Fbelow`, `/repositories/${plain}%2Fapp`];
    for (const path of rows) await succeed(api, `GET ${path}`);
    expect(await names(`/robots?organization=${plain}`)).toEqual([`robot$${plain}+ci`]);
  }, 30_000);
});
