import { describe, expect, test } from "bun:test";
import { bearerFor, challengeOf, scopesIn } from "./bearer.ts";
import { absentDigest, pushIndex, startUpload } from "./content.ts";
import { basic, expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const someDigest = absentDigest();

describe("anonymous GET /v2/", () => {
  test("is 401 Bearer with a quoted absolute realm and service, and no scope, also when public repositories exist", async () => {
    await pushIndex(registry, freshRepository("library/app"), { tag: "v1" });
    const answer = await registry.as(undefined).send("GET", "/v2/");
    expectProblem(answer, 401, "UNAUTHORIZED");
    expect(challengeOf(answer)).toEqual({ realm: `${registry.server().url}/token`, service: "berth" });
  });

  test("names the Host that the client used in the realm", async () => {
    for (const host of ["registry.example", "registry.example:8443", "10.0.0.1:5000", "[::1]:5000"]) {
      const answer = await registry.as(undefined).send("GET", "/v2/", { headers: { Host: host } });
      expect(challengeOf(answer).realm).toBe(`http://${host}/token`);
    }
  });

  test("puts nothing into the realm that is no Host", async () => {
    for (const host of [
      'evil"host',
      "evil.example/path",
      "a b",
      "user@evil.example",
      "evil.example\\",
      "a,b",
      "",
      "a:b:c",
    ]) {
      const answer = await registry.as(undefined).send("GET", "/v2/", { headers: { Host: host } });
      // A 401 needs a challenge, and a challenge a realm.
      if (answer.status !== 400) expect(challengeOf(answer).realm).toBe(`${registry.server().url}/token`);
      expect(answer.text).not.toContain("evil");
    }
  });

  test("believes no X-Forwarded header of a peer that is no configured proxy", async () => {
    const headers = {
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Proto": "https",
      Forwarded: 'host="evil.example";proto=https',
      "X-Forwarded-Port": "444",
    };
    const answer = await registry.as(undefined).send("GET", "/v2/", { headers });
    expect(challengeOf(answer).realm).toBe(`${registry.server().url}/token`);
  });

  test("as Basic with an empty name and password is anonymous too", async () => {
    const answer = await registry.as("Basic Og==").send("GET", "/v2/");
    expect(challengeOf(answer).realm).toBe(`${registry.server().url}/token`);
  });
});

describe("a challenge on a repository route names all needed scopes in one value", () => {
  const name = "acme/private";
  const repository = `repository:${name}`;
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["GET", `/v2/${name}/manifests/v1`, [`${repository}:pull`]],
    ["HEAD", `/v2/${name}/manifests/v1`, [`${repository}:pull`]],
    ["GET", `/v2/${name}/blobs/${someDigest}`, [`${repository}:pull`]],
    ["HEAD", `/v2/${name}/blobs/${someDigest}`, [`${repository}:pull`]],
    ["GET", `/v2/${name}/tags/list`, [`${repository}:pull`]],
    ["GET", `/v2/${name}/referrers/${someDigest}`, [`${repository}:pull`]],
    ["PUT", `/v2/${name}/manifests/v1`, [`${repository}:pull,push`]],
    ["PUT", `/v2/${name}/manifests/${someDigest}?tag=a`, [`${repository}:pull,push`]],
    ["POST", `/v2/${name}/blobs/uploads/`, [`${repository}:pull,push`]],
    ["POST", `/v2/${name}/blobs/uploads/?mount=${someDigest}`, [`${repository}:pull,push`]],
    [
      "POST",
      `/v2/${name}/blobs/uploads/?mount=${someDigest}&from=acme/other`,
      ["repository:acme/other:pull", `${repository}:pull,push`],
    ],
    ["PATCH", `/v2/${name}/blobs/uploads/1`, [`${repository}:pull,push`]],
    ["PUT", `/v2/${name}/blobs/uploads/1?digest=${someDigest}`, [`${repository}:pull,push`]],
    ["DELETE", `/v2/${name}/blobs/uploads/1`, [`${repository}:pull,push`]],
    ["DELETE", `/v2/${name}/manifests/v1`, [`${repository}:delete`]],
    ["DELETE", `/v2/${name}/blobs/${someDigest}`, [`${repository}:delete`]],
    ["GET", "/v2/_catalog", ["registry:catalog:*"]],
  ];
  for (const [method, target, scopes] of cases) {
    test(`${method} ${target.replace(someDigest, "<digest>")}`, async () => {
      const body = method === "PUT" || method === "POST" || method === "PATCH" ? { body: "" } : {};
      const answer = await registry.as(undefined).send(method, target, body);
      const challenge = challengeOf(answer);
      expect(challenge).toMatchObject({ realm: `${registry.server().url}/token`, service: "berth" });
      expect(challenge.error).toBeUndefined();
      if (scopes[0]?.endsWith(":delete") === true) {
        expect(scopesIn(challenge)[0]).toMatch(/^repository:acme\/private:delete(,pull)?(,push)?$/);
      } else {
        expect(scopesIn(challenge)).toEqual(scopes);
      }
    });
  }

  test("and never what a hostile from or name would put into the header", async () => {
    for (const target of [
      `/v2/acme/app/blobs/uploads/?mount=${someDigest}&from=a%22,error=%22x`,
      `/v2/acme/app/blobs/uploads/?mount=${someDigest}&from=a%0d%0aSet-Cookie:%20x`,
      `/v2/acme/app%22,x=%22/blobs/uploads/`,
    ]) {
      const answer = await registry.as(undefined).send("POST", target, { body: "" });
      expect(answer.header("set-cookie")).toBeUndefined();
      if (answer.status === 401) challengeOf(answer);
      else expect(answer.status).toBe(400);
    }
  });
});

describe("a token that was sent and does not do gets an error in the challenge", () => {
  test("invalid_token for one that is garbage", async () => {
    for (const token of ["garbage", "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30."]) {
      const answer = await registry.as(`Bearer ${token}`).send("GET", "/v2/");
      expect(challengeOf(answer).error).toBe("invalid_token");
    }
  });

  test("insufficient_scope, and the wider scope, for a pull-only token on PUT, POST and DELETE", async () => {
    const name = freshRepository();
    const { digest } = await pushIndex(registry, name, { tag: "v1" });
    const location = await startUpload(registry, name);
    const puller = registry.as(await bearerFor(registry, `repository:${name}:pull`));
    expect((await puller.send("GET", `/v2/${name}/manifests/v1`)).status).toBe(200);
    const writes: readonly (readonly [string, string, string])[] = [
      ["PUT", `/v2/${name}/manifests/v1`, "push"],
      ["PUT", `/v2/${name}/manifests/${digest}?tag=v2`, "push"],
      ["POST", `/v2/${name}/blobs/uploads/`, "push"],
      ["PATCH", location, "push"],
      ["PUT", `${location}?digest=${someDigest}`, "push"],
      ["DELETE", location, "push"],
      ["DELETE", `/v2/${name}/manifests/v1`, "delete"],
      ["DELETE", `/v2/${name}/manifests/${digest}`, "delete"],
      ["DELETE", `/v2/${name}/blobs/${someDigest}`, "delete"],
    ];
    for (const [method, target, action] of writes) {
      const answer = await puller.send(method, target, { body: "" });
      const challenge = challengeOf(answer);
      expect([method, target, challenge.error]).toEqual([method, target, "insufficient_scope"]);
      expect(scopesIn(challenge).join(" ")).toMatch(new RegExp(`^repository:${name}:[a-z,]*${action}`));
    }
    expect((await puller.send("GET", `/v2/${name}/manifests/v2`)).status).toBe(404);
    expect((await registry.send("GET", location)).status).toBe(204);
    expect((await registry.send("GET", `/v2/${name}/manifests/v1`)).header("docker-content-digest")).toBe(digest);
  });

  test("insufficient_scope for a token that may push, on DELETE", async () => {
    const name = freshRepository();
    await pushIndex(registry, name, { tag: "v1" });
    const pusher = registry.as(await bearerFor(registry, `repository:${name}:pull,push`));
    const answer = await pusher.send("DELETE", `/v2/${name}/manifests/v1`);
    expect(challengeOf(answer).error).toBe("insufficient_scope");
    expect((await pusher.send("GET", `/v2/${name}/manifests/v1`)).status).toBe(200);
    const location = await startUpload(pusher, name);
    expect((await pusher.send("DELETE", location)).status).toBe(204);
  });

  test("insufficient_scope for a token of another repository", async () => {
    const [mine, other] = [freshRepository(), freshRepository()];
    await pushIndex(registry, other, { tag: "v1" });
    const reader = registry.as(await bearerFor(registry, `repository:${mine}:pull,push,delete`));
    const answer = await reader.send("GET", `/v2/${other}/manifests/v1`);
    expect(challengeOf(answer)).toMatchObject({ error: "insufficient_scope", scope: `repository:${other}:pull` });
  });

  test("insufficient_scope for the catalog without its scope", async () => {
    const reader = registry.as(await bearerFor(registry, `repository:${freshRepository()}:pull`));
    expect(challengeOf(await reader.send("GET", "/v2/_catalog"))).toMatchObject({
      error: "insufficient_scope",
      scope: "registry:catalog:*",
    });
  });
});

test("a garbage Authorization header is 401 or 400, never 500", async () => {
  const headers = [
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic YWRtaW4=",
    `Basic ${Buffer.from([0xff, 0xfe, 0x3a, 0x00]).toString("base64")}`,
    `Basic ${"A".repeat(8000)}`,
    "Bearer",
    "Bearer ",
    `Bearer ${"a".repeat(8000)}`,
    `Bearer ${".".repeat(100)}`,
    "Digest username=x",
    "Negotiate YII=",
    "nonsense",
    "\xff\xfe",
  ];
  for (const header of headers) {
    for (const target of ["/v2/", "/v2/acme/app/manifests/v1", "/v2/library/app/manifests/v1", "/v2/_catalog"]) {
      const answer = await registry.as(header).send("GET", target);
      expect({ header, target, fine: [400, 401].includes(answer.status) }).toEqual({ header, target, fine: true });
    }
  }
});

test("a wrong password is 401, on public repositories too, and looks the same for a name that is nobody's", async () => {
  await pushIndex(registry, "library/guess", { tag: "v1" });
  for (const target of ["/v2/", "/v2/library/guess/manifests/v1", "/v2/acme/app/tags/list"]) {
    const known = await registry.as(basic("admin", "wrong")).send("GET", target);
    const unknown = await registry.as(basic("nobody", "wrong")).send("GET", target);
    expectProblem(known, 401, "UNAUTHORIZED");
    expect([unknown.status, unknown.text]).toEqual([known.status, known.text]);
    expect(unknown.header("www-authenticate")).toBe(known.header("www-authenticate") ?? "absent");
  }
});

test("the scheme of Authorization is told in any case", async () => {
  const { username, password } = registry.server().admin;
  const encoded = basic(username, password).slice("Basic ".length);
  for (const scheme of ["basic", "BASIC", "Basic"]) {
    expect((await registry.as(`${scheme} ${encoded}`).send("GET", "/v2/")).status).toBe(200);
  }
  const bearer = await bearerFor(registry, "");
  expect((await registry.as(bearer.replace("Bearer", "bearer")).send("GET", "/v2/")).status).toBe(200);
});
