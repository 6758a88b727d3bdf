import { beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { adminBasic, bearerFor, challengeOf, claimsOf } from "./bearer.ts";
import { absentDigest, digestOf, mediaTypes, type PushedImage, pushBlob, pushImage, startUpload } from "./content.ts";
import { type Answer, expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const indexPush = { headers: { "Content-Type": mediaTypes.index }, body: '{"schemaVersion":2,"manifests":[]}' };

describe("for a caller who may create the repository", () => {
  test("HEAD on a manifest or blob of one that does not exist yet is 404, not 401 or 403", async () => {
    const repository = freshRepository();
    const callers = [
      registry,
      registry.as(await bearerFor(registry, `repository:${repository}:pull`)),
      registry.as(await bearerFor(registry, `repository:${repository}:pull,push`)),
    ];
    for (const caller of callers) {
      expect((await caller.send("HEAD", `/v2/${repository}/manifests/v1`)).status).toBe(404);
      expect((await caller.send("HEAD", `/v2/${repository}/blobs/${absentDigest()}`)).status).toBe(404);
    }
  });
});

const comparable = (answer: Answer, name: string) => {
  const { date: _date, "x-request-id": _id, ...headers } = answer.headers;
  return JSON.parse(
    JSON.stringify({ status: answer.status, headers, text: answer.text }).replaceAll(name, "<name>"),
  ) as unknown;
};

describe("for a caller without rights private and absent repositories look the same", () => {
  const privateName = freshRepository("acme/private");
  // Of the same length, so that nothing but existence could make a difference.
  const absentName = freshRepository("acme/nothing");
  let image: PushedImage;

  beforeAll(async () => {
    image = await pushImage(registry, privateName, { tag: "v1" });
  });

  for (const credentials of ["none", "an anonymous token", "a token of another repository"] as const) {
    test(`with ${credentials}, on every read and write: status, code and headers`, async () => {
      const scopes = `repository:${privateName}:pull,push repository:${absentName}:pull,push`;
      const authorization = {
        none: async () => Promise.resolve(undefined),
        "an anonymous token": () => bearerFor(registry, scopes, ""),
        "a token of another repository": () => bearerFor(registry, "repository:acme/other:pull,push,delete"),
      }[credentials];
      const caller = registry.as(await authorization());
      const requests: readonly (readonly [string, string])[] = [
        ["GET", "manifests/v1"],
        ["HEAD", "manifests/v1"],
        ["GET", `manifests/${image.digest}`],
        ["GET", `blobs/${image.config.digest}`],
        ["HEAD", `blobs/${image.config.digest}`],
        ["GET", "tags/list"],
        ["GET", `referrers/${image.digest}`],
        ["DELETE", "manifests/v1"],
        ["DELETE", `blobs/${image.config.digest}`],
        ["POST", "blobs/uploads/"],
        ["PUT", "manifests/v1"],
      ];
      for (const [method, path] of requests) {
        const body = method === "PUT" ? indexPush : method === "POST" ? { body: "" } : {};
        const existing = await caller.send(method, `/v2/${privateName}/${path}`, body);
        const missing = await caller.send(method, `/v2/${absentName}/${path}`, body);
        expect(existing.status).toBe(401);
        expect(comparable(existing, privateName)).toEqual(comparable(missing, absentName));
      }
    });
  }
});

describe("library", () => {
  const repository = freshRepository("library/app");
  let image: PushedImage;

  beforeAll(async () => {
    image = await pushImage(registry, repository, { tag: "v1" });
  });

  const reads = (): readonly string[] => [
    "manifests/v1",
    `manifests/${image.digest}`,
    `blobs/${image.config.digest}`,
    "tags/list",
    `referrers/${image.digest}`,
  ];

  test("is readable with an anonymous token", async () => {
    const anonymous = registry.as(await bearerFor(registry, `repository:${repository}:pull`, ""));
    for (const path of reads()) {
      expect((await anonymous.send("GET", `/v2/${repository}/${path}`)).status).toBe(200);
    }
    expect((await anonymous.send("GET", `/v2/${repository}/manifests/v2`)).status).toBe(404);
  });

  test("is readable without any credentials, or challenges with its scope", async () => {
    for (const path of reads()) {
      const answer = await registry.as(undefined).send("GET", `/v2/${repository}/${path}`);
      if (answer.status !== 200) expect(challengeOf(answer).scope).toBe(`repository:${repository}:pull`);
    }
  });

  test("is not writable by anonymous callers, whatever token they ask for", async () => {
    const token = await bearerFor(registry, `repository:${repository}:pull,push,delete`, "");
    for (const anonymous of [registry.as(undefined), registry.as(token)]) {
      const writes = [
        await anonymous.send("PUT", `/v2/${repository}/manifests/v1`, indexPush),
        await anonymous.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" }),
        await anonymous.send("DELETE", `/v2/${repository}/manifests/v1`),
        await anonymous.send("DELETE", `/v2/${repository}/blobs/${image.config.digest}`),
        await anonymous.send("POST", `/v2/${freshRepository("library/new")}/blobs/uploads/`, { body: "" }),
      ];
      expect(writes.map((answer) => answer.status)).toEqual(writes.map(() => 401));
    }
    const manifest = await registry.send("GET", `/v2/${repository}/manifests/v1`);
    expect(manifest.header("docker-content-digest")).toBe(image.digest);
  });
});

test("a private repository where new ones are public looks like one that is not there", async () => {
  const [hidden, absent] = [freshRepository("library/private"), freshRepository("library/nothing")];
  await pushImage(registry, hidden, { tag: "v1" });
  const made = await registry.as(adminBasic(registry)).send("PUT", `/api/v1/repositories/${hidden}/visibility`, {
    headers: { "content-type": "application/json" },
    body: '{"visibility":"private"}',
  });
  expect(made.status).toBe(204);
  const token = (name: string): Promise<string> => bearerFor(registry, `repository:${name}:pull`, "");
  const tokens = [await token(hidden), await token(absent)];
  expect(tokens.map((text) => claimsOf(text.replace("Bearer ", "")).access)).toEqual([[], []]);
  for (const authorization of [undefined, ...tokens]) {
    for (const path of ["manifests/v1", "tags/list", `blobs/${absentDigest()}`]) {
      const caller = registry.as(authorization);
      expect(comparable(await caller.send("GET", `/v2/${hidden}/${path}`), hidden)).toEqual(
        comparable(await caller.send("GET", `/v2/${absent}/${path}`), absent),
      );
    }
  }
});

describe("rights are those of the request, not of its path's siblings", () => {
  test("a mount needs the right to pull from the source, and tells nothing about it", async () => {
    const [source, target] = [freshRepository("acme/source"), freshRepository("acme/target")];
    const digest = await pushBlob(registry, source, randomBytes(20));
    const pusher = registry.as(await bearerFor(registry, `repository:${target}:pull,push`));
    const mount = (from: string, wanted: string): Promise<Answer> =>
      pusher.send("POST", `/v2/${target}/blobs/uploads/?mount=${wanted}&from=${from}`, { body: "" });
    const existing = await mount(source, digest);
    const missing = await mount(source, absentDigest());
    const nowhere = await mount(freshRepository("acme/source"), digest);
    expect([202, 401]).toContain(existing.status);
    expect([missing.status, nowhere.status]).toEqual([existing.status, existing.status]);
    expect((await registry.send("HEAD", `/v2/${target}/blobs/${digest}`)).status).toBe(404);
    const both = await bearerFor(registry, `repository:${target}:pull,push repository:${source}:pull`);
    const mounted = await registry
      .as(both)
      .send("POST", `/v2/${target}/blobs/uploads/?mount=${digest}&from=${source}`, { body: "" });
    expect(mounted.status).toBe(201);
  });

  test("a mount without from takes nothing from where the token does not reach", async () => {
    const namespace = freshRepository("team");
    const digest = await pushBlob(registry, `${namespace}/source`, randomBytes(20));
    const pusher = registry.as(await bearerFor(registry, `repository:${namespace}/target:pull,push`));
    const answer = await pusher.send("POST", `/v2/${namespace}/target/blobs/uploads/?mount=${digest}`, { body: "" });
    // The account may read the source, this token may not: it is told which token would do.
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toContain(`repository:${namespace}/source:pull`);
    expect((await registry.send("HEAD", `/v2/${namespace}/target/blobs/${digest}`)).status).toBe(404);
  });

  test("an upload session belongs to who began it", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(20);
    const location = await startUpload(registry, repository);
    for (const caller of [
      registry.as(undefined),
      registry.as(await bearerFor(registry, `repository:${repository}:pull,push`, "")),
    ]) {
      expect((await caller.send("GET", location)).status).toBe(401);
      expect((await caller.send("PATCH", location, { body: "x" })).status).toBe(401);
      expect((await caller.send("DELETE", location)).status).toBe(401);
    }
    // The account is what counts, not whether it came with Basic or a token.
    const token = registry.as(await bearerFor(registry, `repository:${repository}:pull,push`));
    expect((await token.send("PATCH", location, { body: bytes })).status).toBe(202);
    expect((await registry.send("PUT", `${location}?digest=${digestOf(bytes)}`, { body: "" })).status).toBe(201);
  });

  test("a blob of a private repository is not read through a public one", async () => {
    const digest = await pushBlob(registry, freshRepository("acme/private"), randomBytes(20));
    const open = freshRepository("library/open");
    await pushImage(registry, open, { tag: "v1" });
    const anonymous = registry.as(await bearerFor(registry, `repository:${open}:pull`, ""));
    expectProblem(await anonymous.send("GET", `/v2/${open}/blobs/${digest}`), 404, "BLOB_UNKNOWN");
    expect((await anonymous.send("HEAD", `/v2/${open}/blobs/${digest}`)).status).toBe(404);
  });
});

test("paths beside the known ones never answer anonymous callers with private content", async () => {
  const repository = freshRepository("acme/private");
  const image = await pushImage(registry, repository, { tag: "v1" });
  const plain = `/v2/${repository}/manifests/v1`;
  const beside = [
    `${plain}/`,
    `${plain}//`,
    `${plain}/.`,
    `${plain};x`,
    `${plain}%2f`,
    `${plain}%3b`,
    `${plain}%5c`,
    `${plain}?`,
    `${plain}%23`,
    `${plain}#`,
    plain.replace("/v2/", "/V2/"),
    plain.replace("/v2/", "//v2/"),
    plain.replace("/v2/", "/v2//"),
    plain.replace("/v2/", "/./v2/"),
    plain.replace("/v2/", "/x/../v2/"),
    plain.replace("/v2/", "/%76%32/"),
    plain.replace("acme/", "library/../acme/"),
    plain.replace("acme/", "library/%2e%2e/acme/"),
    plain.replace("acme/", "library%2f..%2facme/"),
    `http://127.0.0.1${plain}`,
    "/v2/_catalog/",
    "//v2/_catalog",
    "/v2/_catalog%2f",
  ];
  for (const target of beside) {
    for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
      const answer = await registry.as(undefined).send(method, target, method === "PUT" ? indexPush : {});
      expect({ method, target, refused: answer.status >= 300 }).toEqual({ method, target, refused: true });
      expect(answer.text).not.toContain(image.config.digest);
    }
  }
});
