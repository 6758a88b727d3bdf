import { expect, it } from "bun:test";
import { type Answer, basic } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { type Api, expectRefused, freshName, password, problemIn, useApi } from "./checked-api.ts";

type User = readonly [name: string, password: string];

async function addUser(api: Api): Promise<User> {
  const name = freshName("user");
  expect((await api.ask("POST", "/accounts", { json: { name, password } })).status).toBe(201);
  return [name, password];
}

const idOf = (answer: Answer): string => (answer.json() as { id: string }).id;
const namesIn = (answer: Answer): readonly string[] =>
  (answer.json() as { items: readonly { name: string }[] }).items.map(({ name }) => name);

const robotOf = (organization: string): string => `robot$${organization}+ci`;

/** An organization with an owner and a team. */
async function addTenant(api: Api) {
  const owner = await addUser(api);
  const name = freshName("org");
  const made = await api.ask("POST", "/organizations", { json: { name, owner: owner[0] } });
  expect([made.status, made.header("location")]).toEqual([201, `/api/v1/organizations/${name}`]);
  expect((await api.ask("POST", `/organizations/${name}/teams`, { as: owner, json: { name: "dev" } })).status).toBe(
    200,
  );
  const grant = { role: "developer", to: { kind: "team", name: `${name}/dev` }, on: { kind: "namespace", name } };
  const granted = await api.ask("POST", "/grants", { as: owner, json: grant });
  expect(granted.status).toBe(200);
  return { name, owner, grantId: idOf(granted) };
}

const pushes = async (api: Api, user: User, repository: string): Promise<number> =>
  (await api.registry.as(basic(...user)).send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" })).status;

const told = (answer: Answer, name: string): unknown => {
  const { requestId: _, ...rest } = problemIn(answer) as { requestId: string };
  return JSON.parse(JSON.stringify({ status: answer.status, ...rest }).replaceAll(name, "<name>"));
};

describeEachDatabase("rights over the API", (dialect) => {
  const api = useApi({ dialect });

  it("let an owner say who pushes, and count with the next request", async () => {
    const { name, owner, grantId } = await addTenant(api);
    const user = await addUser(api);
    const members = `/organizations/${name}/members/${user[0]}`;
    const inTeam = `/organizations/${name}/teams/dev/members/${user[0]}`;
    expect(await pushes(api, user, `${name}/app`)).toBe(403);
    expectRefused(await api.ask("PUT", inTeam, { as: owner, json: undefined }), 409, "CONFLICT");
    expect((await api.ask("PUT", members, { as: owner, json: { role: "member" } })).json()).toEqual({
      name: user[0],
      role: "member",
    });
    expect((await api.ask("PUT", inTeam, { as: owner })).status).toBe(204);
    expect(await pushes(api, user, `${name}/app`)).toBe(202);
    expect(namesIn(await api.ask("GET", "/organizations", { as: user }))).toEqual([name]);
    expect(namesIn(await api.ask("GET", `/organizations/${name}/teams/dev/members`, { as: user }))).toEqual([user[0]]);

    const explained = await api.ask("GET", `/access/explain?account=${user[0]}&doing=create&repository=${name}/app`, {
      as: user,
    });
    expect(explained.json()).toMatchObject({ allowed: true, rule: "grant", role: "developer", grantId });
    const other = await api.ask("GET", `/access/explain?doing=read&repository=${name}/app`, { as: owner });
    expect(other.json()).toMatchObject({ allowed: false, rule: "no-right" });
    const stranger = await addUser(api);
    expectRefused(
      await api.ask("GET", `/access/explain?account=${owner[0]}&doing=read&repository=${name}/app`, { as: stranger }),
      404,
      "NAME_UNKNOWN",
    );

    const ofTeam = (doing: string, team: string, as: User = owner) =>
      api.ask("GET", `/access/explain?team=${encodeURIComponent(team)}&doing=${doing}&repository=${name}/app`, { as });
    expect((await ofTeam("create", `${name}/dev`)).json()).toMatchObject({ allowed: true, role: "developer", grantId });
    expect((await ofTeam("delete", `${name}/dev`)).json()).toMatchObject({ allowed: false, rule: "no-right" });
    const nobody = `${name}/idle`;
    await api.ask("POST", `/organizations/${name}/teams`, { as: owner, json: { name: "idle" } });
    expect((await ofTeam("create", nobody)).json()).toMatchObject({ allowed: false, rule: "no-right" });
    expect((await ofTeam("member:read", nobody)).json()).toMatchObject({ allowed: true, rule: "member" });
    // A team of others is as if there were none.
    const hidden = await ofTeam("create", `${(await addTenant(api)).name}/dev`);
    expectRefused(hidden, 404, "OBJECT_UNKNOWN");
    expectRefused(await ofTeam("create", `${name}/none`), 404, "OBJECT_UNKNOWN");
    expectRefused(await ofTeam("create", `${name}/dev`, stranger), 404, "NAME_UNKNOWN");
    expectRefused(
      await api.ask("GET", `/access/explain?team=x/y&account=x&doing=read&repository=${name}/app`, { as: owner }),
      404,
      "OBJECT_UNKNOWN",
    );

    const preview = await api.ask("DELETE", `/grants/${grantId}?dryRun=true`, { as: owner });
    expect(preview.json()).toEqual({ dryRun: true, removes: [{ kind: "grant", name: grantId, count: 1 }] });
    expect(await pushes(api, user, `${name}/app`)).toBe(202);
    expect((await api.ask("DELETE", `/grants/${grantId}`, { as: owner })).status).toBe(200);
    expect(await pushes(api, user, `${name}/app`)).toBe(403);
  });

  it("of one organization open nothing of another: its names and ids are as if they were not there", async () => {
    const [ours, theirs] = [await addTenant(api), await addTenant(api)];
    const as = ours.owner;
    const absent = freshName("org");
    const requests: readonly (readonly [method: string, path: (organization: string) => string, json?: unknown])[] = [
      ["GET", (name) => `/organizations/${name}`],
      ["PUT", (name) => `/organizations/${name}/display-name`, { displayName: "x" }],
      ["DELETE", (name) => `/organizations/${name}`],
      ["GET", (name) => `/organizations/${name}/members`],
      ["PUT", (name) => `/organizations/${name}/members/${ours.owner[0]}`, { role: "owner" }],
      ["DELETE", (name) => `/organizations/${name}/members/${ours.owner[0]}`],
      ["GET", (name) => `/organizations/${name}/teams`],
      ["POST", (name) => `/organizations/${name}/teams`, { name: "mine" }],
      ["GET", (name) => `/organizations/${name}/teams/dev/members`],
      ["PUT", (name) => `/organizations/${name}/teams/dev/members/${ours.owner[0]}`],
      ["DELETE", (name) => `/organizations/${name}/teams/dev`],
      ["GET", (name) => `/organizations/${name}/grants`],
      ["GET", (name) => `/namespaces/${name}`],
      ["PUT", (name) => `/namespaces/${name}/rules`, { visibility: "public" }],
      ["DELETE", (name) => `/namespaces/${name}`],
      ["GET", (name) => `/namespaces/${name}/grants`],
      ["GET", (name) => `/namespaces/${name}/protections`],
      ["POST", (name) => `/namespaces/${name}/protections`, { pattern: "v*", roles: { create: "maintainer" } }],
      ["GET", (name) => `/repositories/${name}%2Fapp/protections`],
      ["PUT", (name) => `/repositories/${name}%2Fapp/visibility`, { visibility: "public" }],
      ["GET", (name) => `/repositories/${name}%2Fapp/grants`],
    ];
    for (const [method, path, json] of requests) {
      const hidden = await api.ask(method, path(theirs.name), { as, json });
      expect([method, path(""), hidden.status]).toEqual([method, path(""), 404]);
      expect(told(hidden, theirs.name)).toEqual(told(await api.ask(method, path(absent), { as, json }), absent));
    }
    expectRefused(await api.ask("DELETE", `/grants/${theirs.grantId}`, { as }), 404, "OBJECT_UNKNOWN");
    expectRefused(await api.ask("DELETE", `/grants/${crypto.randomUUID()}`, { as }), 404, "OBJECT_UNKNOWN");
    const rule = { pattern: "v*", roles: { create: "maintainer" } };
    const path = `/namespaces/${theirs.name}/protections`;
    const protection = idOf(await api.ask("POST", path, { as: theirs.owner, json: rule }));
    expectRefused(await api.ask("DELETE", `/protections/${protection}`, { as }), 404, "OBJECT_UNKNOWN");
    expect((await api.ask("GET", path, { as: theirs.owner })).json()).toEqual({ items: [{ id: protection, ...rule }] });
    expect((await api.ask("DELETE", `/protections/${protection}`, { as: theirs.owner })).status).toBe(200);
    const onTheirs = {
      role: "guest",
      to: { kind: "account", name: as[0] },
      on: { kind: "namespace", name: theirs.name },
    };
    expectRefused(await api.ask("POST", "/grants", { as, json: onTheirs }), 404, "OBJECT_UNKNOWN");
    expect(namesIn(await api.ask("GET", "/organizations", { as }))).toEqual([ours.name]);
    for (const list of ["/grants", "/namespaces", "/accounts"])
      expectRefused(await api.ask("GET", list, { as }), 403, "DENIED");
    expect((await api.ask("GET", `/organizations/${theirs.name}`, { as: theirs.owner })).status).toBe(200);
  });

  it("that somebody may not read are as if they were not there, also on the instance and where they are at home", async () => {
    const { name, owner, grantId } = await addTenant(api);
    const [guest, auditor] = [await addUser(api), await addUser(api)];
    const grant = async (json: object): Promise<string> => idOf(await api.ask("POST", "/grants", { json }));
    const toGuest = { role: "limited-guest", to: { kind: "account", name: guest[0] } };
    await grant({ ...toGuest, on: { kind: "organization", name } });
    const onInstance = { role: "auditor", to: { kind: "account", name: auditor[0] }, on: { kind: "instance" } };
    const id = await grant(onInstance);
    const rule = { pattern: "v*", roles: { create: "maintainer" } };
    const path = `/namespaces/${name}/protections`;
    const protection = idOf(await api.ask("POST", path, { as: owner, json: rule }));
    expect((await api.ask("GET", `/organizations/${name}`, { as: guest })).status).toBe(200);
    for (const [as, target] of [
      [owner, `/grants/${id}`],
      [guest, `/grants/${id}`],
      [guest, `/grants/${grantId}`],
      [guest, `/protections/${protection}`],
    ] as const) {
      const hidden = await api.ask("DELETE", target, { as });
      expectRefused(hidden, 404, "OBJECT_UNKNOWN");
      const absent = await api.ask("DELETE", target.replace(/[^/]+$/, crypto.randomUUID()), { as });
      expect(told(hidden, name)).toEqual(told(absent, name));
    }
    // Who sees it is told that they may not.
    for (const target of [`/grants/${id}`, `/grants/${grantId}`, `/protections/${protection}`])
      expectRefused(await api.ask("DELETE", target, { as: auditor }), 403, "DENIED");
    expect((await api.ask("DELETE", `/grants/${id}`)).status).toBe(200);
  });

  it("tell nobody by what they refuse which names there are", async () => {
    const [ours, theirs] = [await addTenant(api), await addTenant(api)];
    const as = ours.owner;
    const absent = freshName("org");
    const made = [
      await api.ask("POST", "/repositories", { as: theirs.owner, json: { name: `${theirs.name}/app` } }),
      await api.ask("POST", "/robots", { as: theirs.owner, json: { name: "ci", organization: theirs.name } }),
      await api.ask("POST", "/robots", { json: { name: theirs.name } }),
    ];
    expect(made.map(({ status }) => status)).toEqual([200, 201, 201]);
    const guest = { role: "guest", to: { kind: "account", name: as[0] } };
    const requests: readonly (readonly [string, (name: string) => string, ((name: string) => unknown)?])[] = [
      ["POST", () => "/grants", (name) => ({ ...guest, on: { kind: "organization", name } })],
      ["POST", () => "/grants", (name) => ({ ...guest, on: { kind: "namespace", name } })],
      ["POST", () => "/grants", (name) => ({ ...guest, on: { kind: "pattern", pattern: `${name}/*` } })],
      ["POST", () => "/grants", (name) => ({ ...guest, on: { kind: "repository", name: `${name}/app` } })],
      ["POST", () => "/repositories", (name) => ({ name: `${name}/app` })],
      ["GET", (name) => `/access/explain?account=${as[0]}&doing=read&repository=${name}/app`],
      ["GET", (name) => `/robots?organization=${name}`],
      ["POST", () => "/robots", (name) => ({ name: "ci", organization: name })],
      ["GET", (name) => `/robots/${robotOf(name)}`],
      ["PATCH", (name) => `/robots/${robotOf(name)}`, () => ({ disabled: true })],
      ["DELETE", (name) => `/robots/${robotOf(name)}`],
      ["GET", (name) => `/tokens?robot=${robotOf(name)}`],
      ["POST", () => "/tokens", (name) => ({ robot: robotOf(name), name: "x" })],
      ["GET", (name) => `/robots/robot$${name}`],
      ["DELETE", (name) => `/robots/robot$${name}`],
      ["POST", () => "/tokens", (name) => ({ robot: `robot$${name}`, name: "x" })],
    ];
    for (const [method, path, body] of requests) {
      const [hidden, unknown] = [
        await api.ask(method, path(theirs.name), { as, json: body?.(theirs.name) }),
        await api.ask(method, path(absent), { as, json: body?.(absent) }),
      ];
      expect([method, path(""), told(hidden, theirs.name)]).toEqual([method, path(""), told(unknown, absent)]);
    }
    const nobody = freshName("user");
    for (const [method, path, body] of [
      ["GET", (name: string) => `/tokens?account=${name}`, undefined],
      ["POST", () => "/tokens", (name: string) => ({ account: name, name: "x", scopes: ["**:read"] })],
      ["PUT", (name: string) => `/accounts/${name}/password`, () => ({ password: "another password" })],
      ["DELETE", (name: string) => `/accounts/${name}/second-factor`, undefined],
    ] as const) {
      const [hidden, unknown] = [
        await api.ask(method, path(theirs.owner[0]), { as, json: body?.(theirs.owner[0]) }),
        await api.ask(method, path(nobody), { as, json: body?.(nobody) }),
      ];
      expect(told(hidden, theirs.owner[0])).toEqual(told(unknown, nobody));
    }
  });

  it("over accounts make nobody an administrator", async () => {
    const clerk = await addUser(api);
    const [user] = await addUser(api);
    const role = freshName("clerk");
    const permissions = ["account:read", "account:update", "account:delete"];
    expect((await api.ask("POST", "/roles", { json: { name: role, permissions } })).status).toBe(201);
    const given = { role, to: { kind: "account", name: clerk[0] }, on: { kind: "instance" } };
    expect((await api.ask("POST", "/grants", { json: given })).status).toBe(200);
    const { username: admin } = api.registry.server().admin;
    const star = { "if-match": "*" };
    const scopes = ["**:grant:create"];
    for (const [name, status] of [
      [admin, 403],
      [user, undefined],
    ] as const) {
      const answers = [
        await api.ask("PUT", `/accounts/${name}/password`, { as: clerk, json: { password: "another password" } }),
        await api.ask("DELETE", `/accounts/${name}/second-factor`, { as: clerk }),
        await api.ask("POST", "/tokens", { as: clerk, json: { account: name, name: "x", scopes } }),
        await api.ask("PATCH", `/accounts/${name}`, { as: clerk, headers: star, json: { disabled: true } }),
        await api.ask("DELETE", `/accounts/${name}`, { as: clerk }),
      ];
      expect(answers.map((answer) => answer.status)).toEqual(
        status === undefined ? [204, 200, 200, 200, 200] : [status, status, status, status, status],
      );
    }
    const shown = await api.ask("PATCH", `/accounts/${admin}`, {
      as: clerk,
      headers: star,
      json: { displayName: "A" },
    });
    expect(shown.status).toBe(200);
  });

  it("end at a time that can be told again", async () => {
    const { name, owner } = await addTenant(api);
    const give = (until: string): Promise<Answer> =>
      api.ask("POST", "/grants", {
        as: owner,
        json: { role: "guest", to: { kind: "signed-in" }, on: { kind: "organization", name }, until },
      });
    for (const until of ["9999-12-31T23:59:59-23:59", "2001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "tomorrow"])
      expectRefused(await give(until), 400, "INPUT_INVALID");
    expect((await give("9999-12-30T23:59:59.123456789Z")).status).toBe(200);
    const listed = await api.ask("GET", `/organizations/${name}/grants`, { as: owner });
    expect(listed.text).toContain("9999-12-30T23:59:59.123Z");
    const late = { name: "late", organization: name, until: "9999-12-31T23:59:59-23:59" };
    expectRefused(await api.ask("POST", "/robots", { as: owner, json: late }), 400, "INPUT_INVALID");
  });

  it("are changed only as they were read, of two changes at once one, and made once with a key", async () => {
    const { name, owner } = await addTenant(api);
    const role = freshName("role");
    const made = await api.ask("POST", "/roles", { json: { name: role, permissions: ["repository:read"] } });
    expect([made.status, made.header("location"), made.header("etag")]).toEqual([201, `/api/v1/roles/${role}`, '"1"']);
    for (const [shown, changed, first, second] of [
      [`/organizations/${name}`, `/organizations/${name}/display-name`, { displayName: "One" }, { displayName: "Two" }],
      [`/namespaces/${name}`, `/namespaces/${name}/rules`, { visibility: "internal" }, { createOnPush: "nobody" }],
      [`/roles/${role}`, `/roles/${role}`, { permissions: ["log:read"] }, { permissions: ["scan:read"] }],
    ] as const) {
      const etag = (await api.ask("GET", shown)).header("etag") ?? "";
      expect([shown, etag]).toEqual([shown, '"1"']);
      expectRefused(await api.ask("PUT", changed, { json: first }), 428, "REVISION_REQUIRED");
      const change = (json: object, ifMatch: string) =>
        api.ask("PUT", changed, { json, headers: { "if-match": ifMatch } });
      const both = await Promise.all([change(first, etag), change(second, etag)]);
      expect(both.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 412]);
      expect((await api.ask("GET", shown)).header("etag")).toBe('"2"');
      expectRefused(await change(first, '"1"'), 412, "REVISION_STALE");
      expect((await change(second, "*")).header("etag")).toBe('"3"');
    }
    for (const [path, json, other] of [
      [`/organizations/${name}/teams`, { name: "once" }, { name: "twice" }],
      ["/roles", { name: freshName("role"), permissions: ["log:read"] }, { name: role, permissions: ["log:read"] }],
      [
        "/grants",
        { role: "guest", to: { kind: "account", name: owner[0] }, on: { kind: "namespace", name } },
        { role: "guest", to: { kind: "account", name: owner[0] }, on: { kind: "organization", name } },
      ],
      ["/robots", { name: freshName("robot") }, { name: freshName("robot") }],
      ["/repositories", { name: `${name}/made` }, { name: `${name}/other` }],
      [
        `/namespaces/${name}/protections`,
        { pattern: "a*", roles: { create: "maintainer" } },
        { pattern: "b*", roles: { create: "maintainer" } },
      ],
    ] as const) {
      const headers = { "idempotency-key": `the-same-${path}` };
      const [one, two] = [
        await api.ask("POST", path, { json, headers }),
        await api.ask("POST", path, { json, headers }),
      ];
      expect([path, one.status, two.text]).toEqual([path, two.status, one.text]);
      expect(one.status).toBeLessThan(300);
      expectRefused(await api.ask("POST", path, { json: other, headers }), 422, "IDEMPOTENCY_KEY_REUSED");
    }
  });

  it("give nobody more than they have, and refuse what is not known", async () => {
    const { name, owner } = await addTenant(api);
    const give = (about: object, as: User = owner): Promise<Answer> =>
      api.ask("POST", "/grants", {
        as,
        json: { role: "guest", to: { kind: "account", name: owner[0] }, on: { kind: "organization", name }, ...about },
      });
    expect((await give({})).status).toBe(200);
    for (const about of [{ role: "administrator" }, { on: { kind: "instance" } }])
      expectRefused(await give(about), 403, "DENIED");
    expectRefused(await give({ on: { kind: "pattern", pattern: "*" } }), 404, "OBJECT_UNKNOWN");
    for (const about of [{ id: "x" }, { on: { kind: "organization", name, id: "x" } }, { to: { kind: "everyone" } }]) {
      expectRefused(await give(about), 400, "INPUT_INVALID");
    }
    expectRefused(await give({ networks: ["10.0.0.0/99"] }), 400, "INPUT_INVALID");
    expectRefused(await give({ role: "nothing" }), 404, "OBJECT_UNKNOWN");
    for (const [method, path, json] of [
      ["POST", "/roles", { name: "mine", permissions: ["repository:read"] }],
      ["POST", "/organizations", { name: freshName("org") }],
      ["POST", "/namespaces", { name: freshName("space") }],
    ] as const) {
      expectRefused(await api.ask(method, path, { as: owner, json }), 403, "DENIED");
    }
    expectRefused(
      await api.ask("POST", "/roles", { json: { name: "odd", permissions: ["constructor:read"] } }),
      400,
      "INPUT_INVALID",
    );
    expectRefused(await api.ask("DELETE", `/organizations/${name}/members/${owner[0]}`), 409, "CONFLICT");
  });

  it("are told to an auditor, who changes nothing", async () => {
    const { name } = await addTenant(api);
    const auditor = await addUser(api);
    const json = { role: "auditor", to: { kind: "account", name: auditor[0] }, on: { kind: "instance" } };
    expect((await api.ask("POST", "/grants", { json })).status).toBe(200);
    for (const path of [
      "/grants",
      "/namespaces",
      "/accounts",
      "/roles",
      "/organizations",
      `/organizations/${name}/members`,
    ]) {
      const answer = await api.ask("GET", path, { as: auditor });
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.text).not.toMatch(/argon2|password_hash|secret/);
    }
    expectRefused(
      await api.ask("POST", `/organizations/${name}/teams`, { as: auditor, json: { name: "x" } }),
      403,
      "DENIED",
    );
    expectRefused(await api.ask("DELETE", `/organizations/${name}`, { as: auditor }), 403, "DENIED");
    expectRefused(await api.ask("POST", "/grants", { as: auditor, json }), 403, "DENIED");
  });
});
