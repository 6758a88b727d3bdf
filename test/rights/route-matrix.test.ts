import { beforeAll, expect, it } from "bun:test";
import type { EndpointName } from "../../src/http/distribution/route.ts";
import { freshName, password, problemIn, useApi } from "../api/checked-api.ts";
import { bearerFor, claimsOf, tokenReply } from "../protocol/bearer.ts";
import { type Answer, basic } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import {
  apiMatrix,
  type ApiRow,
  bearerMatrix,
  bearers,
  callers,
  protocolMatrix,
  type ProtocolRow,
  routeOf,
  tokenMatrix,
} from "./route-matrix.ts";
import { apiRequests, protocolRequests, requestOf } from "./route-requests.ts";
import { addAccount, addRobot, addTenant, grantOn, succeed, type Tenant } from "./tenant.ts";

/** A letter of the matrix, and what it sends. */
interface Caller {
  readonly letter: string;
  readonly name: string;
  readonly authorization: string | undefined;
}

const rolesOnTheOrganization = {
  L: "limited-guest",
  G: "guest",
  D: "developer",
  M: "maintainer",
  P: "project-admin",
} as const;
const rolesOnTheInstance = { U: "auditor", A: "administrator" } as const;
const robots = { r: "developer", R: "project-admin" } as const;

/** Paths of the protocol by what they lead to: an endpoint that is not here does not compile. */
const protocolPaths = {
  blob: "/v2/{repository}/blobs/{digest}",
  manifest: "/v2/{repository}/manifests/{reference}",
  referrers: "/v2/{repository}/referrers/{digest}",
  tags: "/v2/{repository}/tags/list",
  uploads: "/v2/{repository}/blobs/uploads/",
  upload: "/v2/{repository}/blobs/uploads/{upload}",
} as const satisfies Readonly<Record<EndpointName, string>>;
const pathsOfNoRepository = ["/v2/", "/v2/_catalog", "/v2/_oci/ext/discover"];
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const deniedByApi: ReadonlySet<string> = new Set([
  "401 UNAUTHORIZED",
  "403 DENIED",
  "404 OBJECT_UNKNOWN",
  "404 NAME_UNKNOWN",
]);
const isDeniedByApi = (answer: Answer): boolean =>
  answer.status >= 400 && deniedByApi.has(`${String(answer.status)} ${problemIn(answer).code}`);
const isDeniedByProtocol = ({ status }: Answer): boolean => status === 401 || status === 403;

const keysOf = <K extends string>(rows: Readonly<Record<K, unknown>>): readonly K[] => Object.keys(rows) as K[];

/** What the tables say of these rows. */
function wanted(rows: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const all = new Map<string, string>(Object.entries({ ...apiMatrix, ...protocolMatrix }));
  return Object.fromEntries(Object.keys(rows).map((row) => [row, all.get(row) ?? ""]));
}

describeEachDatabase("the matrix of routes and roles, at a running server", (dialect) => {
  const api = useApi({ dialect });
  let tenant: Tenant;
  let asking: readonly Caller[] = [];

  const addCaller = async (letter: string): Promise<Caller> => {
    const name = freshName("caller");
    await addAccount(api, name);
    return { letter, name, authorization: basic(name, password) };
  };

  beforeAll(async () => {
    const stranger = await addCaller("s");
    tenant = await addTenant(api, stranger.name);
    const { organization } = tenant;
    const member = await addCaller("m");
    await succeed(api, `PUT /organizations/${organization}/members/${member.name}`, { json: { role: "member" } });
    const found: Caller[] = [{ letter: "n", name: "nobody", authorization: undefined }, stranger, member];
    for (const [letter, role] of Object.entries(rolesOnTheOrganization)) {
      const caller = await addCaller(letter);
      await grantOn(api, organization, { role, to: { kind: "account", name: caller.name } });
      found.push(caller);
    }
    for (const [letter, role] of Object.entries(robots)) {
      found.push({ letter, name: letter, authorization: await addRobot(api, organization, role) });
    }
    const { username, password: adminPassword } = api.registry.server().admin;
    const reading = { as: [username, adminPassword] as const, json: { name: "reading", scopes: ["**:read"] } };
    const { token } = (await succeed(api, "POST /tokens", reading)).json() as { readonly token: string };
    found.push({ letter: "t", name: username, authorization: basic(username, token) });
    for (const [letter, role] of Object.entries(rolesOnTheInstance)) {
      const caller = await addCaller(letter);
      const to = { kind: "account", name: caller.name };
      await grantOn(api, organization, { role, to, on: { kind: "instance" } });
      found.push(caller);
    }
    asking = found;
    expect(asking.map(({ letter }) => letter).join("")).toBe(callers);
  }, 60_000);

  /** What a row's letter is by an answer; neither the one nor the other is told as it is. */
  const letterOf = (
    { letter }: Caller,
    answer: Answer,
    { allowed, isDenied }: { readonly allowed: number | undefined; readonly isDenied: (answer: Answer) => boolean },
  ): string => {
    if (allowed === undefined ? answer.status < 300 : answer.status === allowed) return letter;
    return isDenied(answer) ? "." : `[${letter}: ${String(answer.status)} ${answer.text}]`;
  };

  const askApi = async (row: ApiRow): Promise<string> => {
    let who = "";
    for (const caller of asking) {
      const asked = await apiRequests[row](tenant, caller.name);
      const { method, path } = requestOf(row, tenant, asked);
      const { authorization } = caller;
      const headers = { ...asked.headers, ...(authorization !== undefined && { authorization }) };
      const answer = await api.ask(method, path, { as: null, headers, json: asked.json });
      who += letterOf(caller, answer, { allowed: asked.allowed, isDenied: isDeniedByApi });
    }
    return who;
  };

  const askProtocol = async (row: ProtocolRow, by = asking, about = tenant): Promise<string> => {
    let who = "";
    for (const caller of by) {
      const asked = await protocolRequests[row](about, caller.name);
      const { method, path } = requestOf(row, about, asked);
      const { headers = {}, body } = asked;
      const call = { headers, ...(body !== undefined && { body }) };
      const answer = await api.registry.as(caller.authorization).send(method, path, call);
      who += letterOf(caller, answer, { allowed: asked.allowed, isDenied: isDeniedByProtocol });
    }
    return who;
  };

  const readingRows = async (): Promise<Readonly<Record<string, string>>> => {
    const seen: Record<string, string> = {};
    for (const row of keysOf(apiMatrix)) if (row.startsWith("GET /repositories")) seen[row] = await askApi(row);
    for (const row of keysOf(protocolMatrix)) if (row.startsWith("GET")) seen[row] = await askProtocol(row);
    return seen;
  };

  it("has every route of the OpenAPI file, and no other", async () => {
    const routes = (await api.operations()).map(({ method, path }) => `${method} ${path}`);
    expect([...new Set(keysOf(apiMatrix).map(routeOf))].toSorted()).toEqual(routes.toSorted());
  });

  it("has every method of the protocol's paths: each other one is refused as none", async () => {
    const rows: ReadonlySet<string> = new Set(keysOf(protocolMatrix).map(routeOf));
    const paths = [...Object.values(protocolPaths), ...pathsOfNoRepository];
    expect([...new Set([...rows].map((row) => row.split(" ")[1] ?? ""))].toSorted()).toEqual(paths.toSorted());
    for (const path of paths) {
      for (const method of methods.filter((one) => !rows.has(`${one} ${path}`))) {
        const request = requestOf(`${method} ${path}`, tenant, {});
        const { status } = await api.registry.send(method, request.path, { body: "" });
        expect([method, path, status]).toEqual([method, path, 405]);
      }
    }
  });

  it("is what the API does", async () => {
    const seen: Record<string, string> = {};
    for (const row of keysOf(apiMatrix)) seen[row] = await askApi(row);
    expect(seen).toEqual(apiMatrix);
  }, 120_000);

  it("is what the registry does", async () => {
    const seen: Record<string, string> = {};
    for (const row of keysOf(protocolMatrix)) seen[row] = await askProtocol(row);
    expect(seen).toEqual(protocolMatrix);
  }, 60_000);

  it("is what tokens are given for", async () => {
    const seen = { pull: "", push: "", delete: "" };
    for (const { letter, authorization } of asking) {
      const scope = encodeURIComponent(`repository:${tenant.repository}:pull,push,delete`);
      const answer = await api.registry.as(authorization).send("GET", `/token?service=berth&scope=${scope}`);
      expect([letter, answer.status]).toEqual([letter, 200]);
      const actions = claimsOf(tokenReply(answer).token).access.flatMap((one) => one.actions);
      for (const action of keysOf(seen)) seen[action] += actions.includes(action) ? letter : ".";
    }
    expect(seen).toEqual(tokenMatrix);
  });

  it("is what bearer tokens open, and nothing of the API", async () => {
    const [repository, sibling] = [`repository:${tenant.repository}`, `repository:${tenant.sibling}`];
    const scopes = {
      p: `${repository}:pull`,
      w: `${repository}:pull,push`,
      d: `${repository}:delete`,
      a: `${repository}:*`,
      o: `${sibling}:*`,
      c: "registry:catalog:*",
    };
    const by: Caller[] = [];
    for (const [letter, scope] of Object.entries(scopes)) {
      by.push({ letter, name: "", authorization: await bearerFor(api.registry, scope) });
    }
    expect(Object.keys(scopes).join("")).toBe(bearers);
    const seen: Record<string, string> = {};
    // The upload that has begun is their owner's.
    const about = { ...tenant, upload: crypto.randomUUID() };
    for (const row of keysOf(bearerMatrix)) seen[row] = await askProtocol(row, by, about);
    expect(seen).toEqual(bearerMatrix);

    const [, , , everything] = by;
    const permissions = new Map(
      (await api.operations()).map(({ method, path, permission }) => [`${method} ${path}`, permission]),
    );
    for (const row of keysOf(apiMatrix)) {
      const asked = await apiRequests[row](tenant, "");
      const { method, path } = requestOf(row, tenant, asked);
      const headers = { ...asked.headers, authorization: everything?.authorization ?? "" };
      const { status } = await api.ask(method, path, { as: null, headers, json: asked.json });
      // What asks for no credentials looks at none.
      if (permissions.get(routeOf(row)) !== "nothing") expect([row, status]).toEqual([row, 401]);
    }
  }, 60_000);

  it("shows an auditor no secret", async () => {
    const auditor = asking.find(({ letter }) => letter === "U");
    const authorization = auditor?.authorization ?? "";
    const made = await succeed(api, "POST /tokens", { json: { robot: tenant.robot, name: "shown once" } });
    const { id, token } = made.json() as { readonly id: string; readonly token: string };
    for (const row of keysOf(apiMatrix).filter((one) => one.startsWith("GET"))) {
      const asked = await apiRequests[row](tenant, auditor?.name ?? "");
      const { method, path } = requestOf(row, tenant, asked);
      const { text } = await api.ask(method, path, { as: null, headers: { authorization } });
      const [secret] = token.split(id).slice(-1);
      for (const hidden of ["$argon2", password, secret ?? ""])
        expect([row, text.includes(hidden)]).toEqual([row, false]);
    }
  }, 60_000);

  it("is another where one grant too many is given, for as long as it is", async () => {
    const [, stranger] = asking;
    const to = { kind: "account", name: stranger?.name };
    const id = await grantOn(api, tenant.organization, { role: "limited-guest", to });
    const planted = await readingRows();
    expect(planted).not.toEqual(wanted(planted));
    expect(planted).toMatchObject({
      "GET /repositories/{repository}": ".s.LGDMPrRtUA",
      "GET /v2/{repository}/blobs/{digest}": ".s.LGDMPrRtUA",
    });
    await succeed(api, `DELETE /grants/${id}`);
    const again = await readingRows();
    expect(again).toEqual(wanted(again));
  }, 60_000);
});
