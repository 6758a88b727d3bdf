import { expect, it } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { until } from "../support/workers.ts";
import {
  absentDigest,
  describeBytes,
  jsonBytes,
  mediaTypes,
  pushBlob,
  pushImage,
  pushIndex,
  pushManifest,
  startUpload,
} from "../protocol/content.ts";
import { basic, freshRepository } from "../protocol/registry-client.ts";
import { type Api, expectRefused, freshName, password, useApi } from "./checked-api.ts";

interface Named {
  readonly name: string;
}

const namesIn = (body: unknown): readonly string[] =>
  (body as { readonly items: readonly Named[] }).items.map(({ name }) => name);

const is = (label: string): string => `label=${encodeURIComponent(label)}`;

const manyLabels = (count: number, value: string): string =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${String(at)}`, value])));

const encoded = (repository: string): string => repository.replaceAll("/", "%2F");

async function account(api: Api): Promise<readonly [string, string]> {
  const name = freshName("reader");
  await api.ask("POST", "/accounts", { json: { name, password } });
  return [name, password];
}

/** What the audit log tells of a kind of change to something. */
async function detailsOf(api: Api, action: string, target: string): Promise<readonly object[]> {
  const { items } = (await api.ask("GET", `/audit?action=${action}&limit=1000`)).json() as {
    readonly items: readonly { readonly target?: string; readonly detail: object }[];
  };
  return items.filter((one) => one.target === target).map(({ detail }) => detail);
}

describeEachDatabase("repositories over the API", (dialect) => {
  const api = useApi({ dialect });

  it("are listed to whom they can be read by, a page behind the other", async () => {
    const prefix = freshRepository("listed");
    const open = `library/${prefix}`;
    for (const name of [`${prefix}/a`, `${prefix}/b`, `${prefix}/c`, open]) await pushIndex(api.registry, name);
    const all = await api.ask("GET", `/repositories?prefix=${prefix}&limit=2`);
    expect(namesIn(all.json())).toEqual([`${prefix}/a`, `${prefix}/b`]);
    const { next } = all.json() as { readonly next: string };
    const rest = await api.ask("GET", `/repositories?prefix=${prefix}&limit=2&after=${encodeURIComponent(next)}`);
    expect(namesIn(rest.json())).toEqual([`${prefix}/c`]);
    expect((rest.json() as { readonly next?: string }).next).toBeUndefined();
    for (const as of [null, await account(api)]) {
      expect(namesIn((await api.ask("GET", `/repositories?prefix=${prefix}`, { as })).json())).toEqual([]);
      expect(namesIn((await api.ask("GET", `/repositories?prefix=${open}`, { as })).json())).toEqual([open]);
      expect((await api.ask("GET", `/repositories/${open}`, { as })).json()).toMatchObject({ visibility: "public" });
    }
    // A sign that means something to LIKE is that sign.
    expect(namesIn((await api.ask("GET", `/repositories?prefix=${prefix.replace("-", "_")}`)).json())).toEqual([]);
  });

  it("that cannot be read are as if they were not there, in every route", async () => {
    const repository = freshRepository("hidden");
    const { digest } = await pushImage(api.registry, repository, { tag: "v1" });
    const reader = await account(api);
    const { paths } = await api.document();
    const all = Object.entries(paths).filter(([path]) => path.includes("{repository}"));
    expect(all.length).toBeGreaterThan(5);
    for (const [path, methods] of all) {
      for (const method of Object.keys(methods)) {
        const at = (name: string): string =>
          path.replace("{repository}", encoded(name)).replace("{tag}", "v1").replace("{reference}", digest);
        const given = method === "put" || method === "post" ? { json: { text: "x", reference: "v1" } } : {};
        const ask = async (name: string, as: readonly [string, string] | null) => {
          const answer = await api.ask(method.toUpperCase(), at(name), { as, ...given, headers: { "if-match": "*" } });
          return [answer.status, answer.text.replaceAll(name, "").replace(/"requestId":"[^"]*"/, "")];
        };
        const gone = freshRepository("absent");
        expect(await ask(repository, reader)).toEqual(await ask(gone, reader));
        expect((await ask(repository, reader))[0]).toBe(404);
        expect(await ask(repository, null)).toEqual(await ask(gone, null));
        expect((await ask(repository, null))[0]).toBe(401);
      }
    }
  });

  it("keep to themselves what is theirs: no id of one leads to anything under another", async () => {
    const [mine, other] = [freshRepository("mine"), freshRepository("other")];
    await pushImage(api.registry, mine, { tag: "same" });
    const { digest } = await pushImage(api.registry, other, { tag: "theirs" });
    const { paths } = await api.document();
    const nested = Object.entries(paths).filter(([path]) => /\{repository\}.*\{/.test(path));
    expect(nested.length).toBeGreaterThan(1);
    for (const [path, methods] of nested) {
      for (const method of Object.keys(methods).filter((one) => one === "get" || one === "delete")) {
        for (const reference of method === "get" ? [digest, "theirs"] : [digest]) {
          const at = path
            .replace("{repository}", encoded(mine))
            .replace("{tag}", "theirs")
            .replace("{reference}", reference);
          expect((await api.ask(method.toUpperCase(), at)).status, `${method} ${at}`).toBe(404);
        }
      }
    }
    const set = (reference: string) => api.ask("PUT", `/repositories/${mine}/tags/new`, { json: { reference } });
    expectRefused(await set(digest), 404, "MANIFEST_UNKNOWN");
    const many = { json: { tags: ["same", "theirs"], manifests: [] } };
    expectRefused(await api.ask("POST", `/repositories/${mine}/deletions`, many), 404, "MANIFEST_UNKNOWN");
    expect(namesIn((await api.ask("GET", `/repositories/${mine}/tags`)).json())).toEqual(["same"]);
    expect((await api.ask("GET", `/repositories/${other}/tags/theirs`)).json()).toMatchObject({ digest });
  });

  it("show their tags and manifests, and what is inside them", async () => {
    const repository = freshRepository("inside");
    const config = jsonBytes({
      os: "linux",
      architecture: "arm64",
      created: "2026-01-02T03:04:05Z",
      config: { Labels: { title: "<b>" }, Entrypoint: ["/run"], Env: ["A=b"], User: "1000", Cmd: 7 },
    });
    const configDescriptor = describeBytes(mediaTypes.config, config);
    await pushBlob(api.registry, repository, config);
    const layer = Buffer.from("layer");
    await pushBlob(api.registry, repository, layer);
    const bytes = jsonBytes({
      schemaVersion: 2,
      mediaType: mediaTypes.image,
      config: configDescriptor,
      layers: [describeBytes(mediaTypes.layer, layer)],
      annotations: { note: "x" },
    });
    const image = await pushManifest(api.registry, { repository, bytes, mediaType: mediaTypes.image, tag: "v1" });
    const index = await pushIndex(api.registry, repository, {
      tag: "all",
      manifests: [image.descriptor, { ...image.descriptor, digest: absentDigest() }],
    });
    const shown = await api.ask("GET", `/repositories/${repository}/manifests/v1`);
    expect(shown.json()).toMatchObject({
      digest: image.digest,
      tags: ["v1"],
      annotations: { note: "x" },
      image: {
        totalBytes: config.length + layer.length,
        platform: { os: "linux", architecture: "arm64" },
        labels: { title: "<b>" },
        entrypoint: ["/run"],
        environment: ["A=b"],
        user: "1000",
        layers: [{ sizeBytes: layer.length }],
      },
    });
    expect(shown.text).not.toContain('"command"');
    const opened = await api.ask("GET", `/repositories/${repository}/manifests/${index.digest}`);
    expect(opened.json()).toMatchObject({ manifests: [{ isPresent: true }, { isPresent: false }] });
    const tags = await api.ask("GET", `/repositories/${repository}/tags?digest=${image.digest}`);
    expect(namesIn(tags.json())).toEqual(["v1"]);
    const manifests = await api.ask("GET", `/repositories/${repository}/manifests?limit=1`);
    expect((manifests.json() as { readonly next?: string }).next).toBe(
      [image.digest, index.digest].toSorted()[0] ?? "",
    );
    expectRefused(await api.ask("GET", `/repositories/${repository}/manifests/none`), 404, "MANIFEST_UNKNOWN");
    expectRefused(await api.ask("GET", `/repositories/${repository}/manifests/sha256:x`), 404, "MANIFEST_UNKNOWN");
    expectRefused(await api.ask("GET", `/repositories/${repository}/tags/none`), 404, "MANIFEST_UNKNOWN");
  });

  it("have tags that are set without a byte being sent, in them and between them", async () => {
    const [source, target] = [freshRepository("source"), freshRepository("target")];
    const [one, two] = [await pushImage(api.registry, source), await pushImage(api.registry, source)];
    const inner = await pushIndex(api.registry, source, { manifests: [one.descriptor] });
    const index = await pushIndex(api.registry, source, {
      tag: "v1",
      manifests: [inner.descriptor, one.descriptor, two.descriptor],
    });
    const set = (repository: string, tag: string, json: object) =>
      api.ask("PUT", `/repositories/${repository}/tags/${tag}`, { json });
    expect((await set(source, "stable", { reference: "v1" })).json()).toMatchObject({
      name: "stable",
      digest: index.digest,
    });
    expect((await set(target, "v1", { from: source, reference: "v1" })).json()).toMatchObject({ digest: index.digest });
    // All of it can be pulled from there.
    for (const { digest } of [index, inner, one, two]) {
      expect((await api.registry.send("GET", `/v2/${target}/manifests/${digest}`)).status).toBe(200);
    }
    for (const { digest } of [one.config, ...two.layers]) {
      expect((await api.registry.send("GET", `/v2/${target}/blobs/${digest}`)).status).toBe(200);
    }
    const moved = (expected: string | null) => set(target, "v1", { from: source, reference: one.digest, expected });
    expectRefused(await moved(null), 412, "PRECONDITION_FAILED");
    expectRefused(await moved(two.digest), 412, "PRECONDITION_FAILED");
    expect((await moved(index.digest)).json()).toMatchObject({ digest: one.digest });
    expectRefused(await set(target, "v1", { from: freshRepository(), reference: "v1" }), 404, "NAME_UNKNOWN");
    expectRefused(await set(target, "v1", { reference: absentDigest() }), 404, "MANIFEST_UNKNOWN");
    const [name, secret] = await account(api);
    const asReader = { as: [name, secret] as const, json: { from: source, reference: "v1" } };
    // In their own namespace they may push, and still not read what is not theirs.
    expectRefused(await api.ask("PUT", `/repositories/${name}/app/tags/v1`, asReader), 404, "NAME_UNKNOWN");
    const own = await pushImage(api.registry.as(basic(name, secret)), `${name}/app`, { tag: "v1" });
    const copy = { as: asReader.as, json: { from: `${name}/app`, reference: "v1" } };
    expect((await api.ask("PUT", `/repositories/${name}/copy/tags/v2`, copy)).json()).toMatchObject({
      digest: own.digest,
    });
  });

  it("tell what a copy would bring and what stands against it, and keep nothing of that", async () => {
    const source = freshRepository("asked");
    const target = freshRepository("untouched");
    const one = await pushImage(api.registry, source, { tag: "one" });
    const two = await pushImage(api.registry, source, { layers: one.layers });
    await pushIndex(api.registry, source, { tag: "all", manifests: [one.descriptor, two.descriptor] });
    const set = (query: string, tag: string, json: object) =>
      api.ask("PUT", `/repositories/${target}/tags/${tag}${query}`, { json: { from: source, ...json } });
    const told = async (query: string, reference: string) => {
      const {
        createdAt: _,
        updatedAt: __,
        ...rest
      } = (await set(query, "v1", { reference })).json() as Readonly<Record<string, unknown>>;
      return rest;
    };
    const preview = await told("?dryRun=true", "all");
    expect(preview).toMatchObject({ name: "v1", copied: { manifests: 3, blobs: 3 } });
    expectRefused(await api.ask("GET", `/repositories/${target}`), 404, "NAME_UNKNOWN");
    expect((await api.registry.send("GET", `/v2/${target}/manifests/v1`)).status).toBe(404);
    expect(await told("", "one")).toMatchObject({ digest: one.digest, copied: { manifests: 1, blobs: 2 } });
    const again = await told("?dryRun=true", "all");
    expect(again).toEqual({ ...preview, previous: one.digest, copied: { manifests: 2, blobs: 1 } });
    const expected = { reference: "all", expected: two.digest };
    expectRefused(await set("?dryRun=true", "v1", expected), 412, "PRECONDITION_FAILED");
    expect((await api.ask("GET", `/repositories/${target}/tags/v1`)).json()).toMatchObject({ digest: one.digest });
    expect(await told("", "all")).toEqual(again);
    expect(await told("", "all")).toMatchObject({ copied: { manifests: 0, blobs: 0 }, previous: again["digest"] });
    for (const query of ["?dryRun=true", ""]) {
      expectRefused(await set(query, "v1", expected), 412, "PRECONDITION_FAILED");
      expectRefused(await set(query, "v1", { reference: "none" }), 404, "MANIFEST_UNKNOWN");
    }
  });

  it("have a copy told in the audit log with who made it", async () => {
    const source = freshRepository("told");
    const { digest } = await pushImage(api.registry, source, { tag: "v1" });
    const target = freshRepository("copied");
    await api.ask("PUT", `/repositories/${target}/tags/v1`, { json: { from: source, reference: "v1" } });
    const entries = async () =>
      (await api.ask("GET", `/audit?repository=${encodeURIComponent(target)}`)).json() as {
        readonly items: readonly { readonly action: string; readonly actor: object; readonly requestId?: string }[];
      };
    await until("the tag is told", async () => (await entries()).items.some(({ action }) => action === "tag-created"));
    const { items } = await entries();
    expect(items.map(({ action }) => action)).toContain("manifest-pushed");
    for (const { actor } of items) expect(actor).toMatchObject({ kind: "account", name: "admin" });
    expect(items.find(({ action }) => action === "tag-created")).toMatchObject({ detail: { digest } });
    expect(new Set(items.map(({ requestId }) => requestId)).size).toBe(1);
  });

  it("lose what is deleted, one or many at once, as the preview has told", async () => {
    const repository = freshRepository("emptied");
    const { digest } = await pushImage(api.registry, repository, { tag: "a" });
    for (const tag of ["b", "c", "d"]) {
      await api.ask("PUT", `/repositories/${repository}/tags/${tag}`, { json: { reference: digest } });
    }
    const tags = async () => namesIn((await api.ask("GET", `/repositories/${repository}/tags`)).json());
    const one = await api.ask("DELETE", `/repositories/${repository}/tags/a`);
    expect(one.json()).toEqual({ dryRun: false, removes: [{ kind: "tag", name: "a", count: 1 }] });
    const many = (query: string, json: object) =>
      api.ask("POST", `/repositories/${repository}/deletions${query}`, { json });
    const preview = await many("?dryRun=true", { tags: ["b"], manifests: [digest] });
    expect(preview.json()).toEqual({
      dryRun: true,
      removes: [
        { kind: "tag", name: "b", count: 1 },
        { kind: "manifest", name: digest, count: 1 },
        { kind: "tag", name: "c", count: 1 },
        { kind: "tag", name: "d", count: 1 },
      ],
    });
    expect(await tags()).toEqual(["b", "c", "d"]);
    expectRefused(await many("", { tags: ["b", "none"] }), 404, "MANIFEST_UNKNOWN");
    expect(await tags()).toEqual(["b", "c", "d"]);
    const { removes } = (await many("", { tags: ["b"], manifests: [digest] })).json() as { readonly removes: unknown };
    expect(removes).toEqual((preview.json() as { readonly removes: unknown }).removes);
    expect(await tags()).toEqual([]);
    expect((await api.registry.send("GET", `/v2/${repository}/manifests/${digest}`)).status).toBe(404);
    expectRefused(
      await many("", { tags: Array.from({ length: 501 }, (_, at) => `t${String(at)}`) }),
      400,
      "INPUT_INVALID",
    );
  });

  it("are deleted whole by who administers them, and another of the name has nothing of it", async () => {
    const repository = freshRepository("doomed");
    const { digest } = await pushImage(api.registry, repository, { tag: "v1" });
    const [admin, maintainer, reader] = [await account(api), await account(api), await account(api)];
    const on = { kind: "repository", name: repository };
    for (const [role, [name]] of [
      ["project-admin", admin],
      ["maintainer", maintainer],
      ["limited-guest", reader],
    ] as const) {
      expect((await api.ask("POST", "/grants", { json: { role, to: { kind: "account", name }, on } })).status).toBe(
        200,
      );
    }
    const path = `/repositories/${repository}`;
    const write = { json: { text: "# Secret" }, headers: { "if-match": "*" } };
    expect((await api.ask("PUT", `${path}/description`, write)).status).toBe(200);
    const label = freshName("doomed");
    const labelled = async () => namesIn((await api.ask("GET", `/repositories?label=${label}`)).json());
    await api.ask("PUT", `${path}/description`, { json: { labels: { [label]: "yes" } }, headers: { "if-match": "*" } });
    expect(await labelled()).toEqual([repository]);
    const remove = (as: readonly [string, string], query = "") => api.ask("DELETE", `${path}${query}`, { as });
    expectRefused(await remove(await account(api)), 404, "NAME_UNKNOWN");
    expectRefused(await remove(maintainer), 403, "DENIED");
    // A rule that keeps a tag from somebody keeps the repository from them.
    const rule = { json: { pattern: "v*", roles: { delete: "administrator" } } };
    const { id } = (await api.ask("POST", `${path}/protections`, rule)).json() as { readonly id: string };
    expectRefused(await remove(admin), 403, "DENIED");
    expect((await api.ask("DELETE", `/protections/${id}`)).status).toBe(200);

    const removes = [
      { kind: "repository", name: repository, count: 1 },
      { kind: "tag", count: 1 },
      { kind: "manifest", count: 1 },
    ];
    expect((await remove(admin, "?dryRun=true")).json()).toEqual({ dryRun: true, removes });
    expect((await api.ask("GET", `${path}/tags/v1`, { as: reader })).json()).toMatchObject({ digest });
    expect((await remove(admin)).json()).toEqual({ dryRun: false, removes });
    expectRefused(await remove(admin), 404, "NAME_UNKNOWN");
    const pulls = async (as: readonly [string, string]) =>
      (await api.registry.as(basic(...as)).send("GET", `/v2/${repository}/tags/list`)).status;
    expect([await pulls(reader), await pulls(["admin", api.registry.server().admin.password])]).toEqual([403, 404]);

    await pushImage(api.registry, repository, { tag: "v2" });
    expect(namesIn((await api.ask("GET", `${path}/tags`)).json())).toEqual(["v2"]);
    expect((await api.ask("GET", `${path}/description`)).json()).toEqual({ text: "", labels: {}, revision: 0 });
    expect([await labelled(), (await api.ask("GET", path)).json()]).toMatchObject([[], { labels: {} }]);
    expect((await api.ask("GET", `${path}/grants`)).json()).toEqual({ items: [] });
    for (const as of [admin, maintainer, reader]) {
      expectRefused(await api.ask("GET", path, { as }), 404, "NAME_UNKNOWN");
      expect(await pulls(as)).toBe(403);
    }
  });

  it("have a description, which is changed only as it was read", async () => {
    const repository = freshRepository("described");
    await pushIndex(api.registry, repository);
    const path = `/repositories/${repository}/description`;
    const first = await api.ask("GET", path);
    expect([first.header("etag"), first.json()]).toEqual(['"0"', { text: "", labels: {}, revision: 0 }]);
    const write = (text: string, ifMatch: string) =>
      api.ask("PUT", path, { json: { text }, headers: { "if-match": ifMatch } });
    const both = await Promise.all([write("# One", '"0"'), write("# Two", '"0"')]);
    expect(both.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 412]);
    expect((await api.ask("GET", path)).json()).toMatchObject({ revision: 1 });
    expect((await write("<script>alert(1)</script>", "*")).json()).toMatchObject({ revision: 2 });
    expect((await api.ask("GET", path)).json()).toMatchObject({ text: "<script>alert(1)</script>" });
    expectRefused(await write("x".repeat(65_537), "*"), 400, "INPUT_INVALID");
    expectRefused(await api.ask("PUT", path, { json: { text: "x" } }), 428, "REVISION_REQUIRED");
    const [name] = await account(api);
    expectRefused(await api.ask("PUT", path, { as: [name, password], json: { text: "x" } }), 404, "NAME_UNKNOWN");
  });

  it("have labels, which are written with the description, and by which lists are narrowed", async () => {
    const [prefix, team] = [freshRepository("labelled"), freshName("team")];
    const write = (name: string, json: object, ifMatch = "*") =>
      api.ask("PUT", `/repositories/${encoded(name)}/description`, { json, headers: { "if-match": ifMatch } });
    const [a, b, c, open] = [`${prefix}/a`, `${prefix}/b`, `${prefix}/c`, `library/${prefix}`];
    for (const [name, value] of [
      [a, "one=1"],
      [b, "two"],
      [c, "one=1"],
      [open, "one=1"],
    ] as const) {
      await pushIndex(api.registry, name);
      expect((await write(name, { labels: { [team]: value, constructor: "é" } })).json()).toMatchObject({
        revision: 1,
      });
    }
    const both = await Promise.all([write(a, { text: "# A" }, '"1"'), write(a, { labels: {} }, '"1"')]);
    expect(both.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 412]);
    const labels = { [team]: "one=1", "acme.example/tier": "" };
    expect((await write(a, { text: "# A", labels })).json()).toMatchObject({ text: "# A", labels, revision: 3 });
    // What is not given stays.
    expect((await write(a, { text: "# B" })).json()).toMatchObject({ text: "# B", labels, revision: 4 });
    expect((await write(a, {})).json()).toMatchObject({ text: "# B", labels, revision: 4 });
    expect((await api.ask("GET", `/repositories/${a}`)).json()).toMatchObject({ name: a, labels });

    const list = async (query: string, as?: readonly [string, string] | null) => {
      const answer = await api.ask("GET", `/repositories?${query}`, as === undefined ? {} : { as });
      return answer.json() as {
        readonly items: readonly (Named & { readonly labels: object })[];
        readonly next?: string;
      };
    };
    expect((await list(`prefix=${prefix}`)).items.map((one) => one.labels)).toContainEqual(labels);
    expect(namesIn(await list(is(team)))).toEqual([a, b, c, open].toSorted());
    expect(namesIn(await list(is(`${team}=two`)))).toEqual([b]);
    expect(namesIn(await list(is(`${team}=`)))).toEqual([]);
    expect(namesIn(await list(`${is(`${team}=one=1`)}&prefix=${prefix}/`))).toEqual([a, c]);
    const first = await list(`${is(team)}&prefix=${prefix}/&limit=2`);
    expect([namesIn(first), first.next]).toEqual([[a, b], b]);
    const last = await list(`${is(team)}&prefix=${prefix}/&limit=2&after=${encodeURIComponent(b)}`);
    expect([namesIn(last), last.next]).toEqual([[c], undefined]);
    // What somebody may not read has no label for them, and no place between those that they see.
    const reader = await account(api);
    const on = { kind: "repository", name: b };
    const granted = { role: "limited-guest", to: { kind: "account", name: reader[0] }, on };
    expect((await api.ask("POST", "/grants", { json: granted })).status).toBe(200);
    expect(namesIn(await list(is(team), reader))).toEqual([b, open].toSorted());
    expect(await list(`${is(team)}&limit=1`, null)).toEqual({ items: [expect.objectContaining({ name: open })] });
    expect(await list(is(`${team}=one=1`), reader)).toEqual({ items: [expect.objectContaining({ name: open })] });
    expectRefused(
      await api.ask("PUT", `/repositories/${b}/description`, { as: reader, json: { labels } }),
      403,
      "DENIED",
    );
  });

  it("have labels of a form, as many as a page of a list can hold", async () => {
    const repository = freshRepository("bounded");
    await pushIndex(api.registry, repository);
    const write = (body: string) =>
      api.ask("PUT", `/repositories/${repository}/description`, {
        body: `{"labels":${body}}`,
        headers: { "if-match": "*", "content-type": "application/json" },
      });
    for (const key of [
      "",
      " ",
      "a b",
      "-a",
      "a-",
      "/a",
      "a/",
      "A/b",
      "a/b/c",
      "a".repeat(64),
      "é",
      `${"d".repeat(127)}/a`,
    ]) {
      const answer = await write(JSON.stringify({ [key]: "x" }));
      expectRefused(answer, 400, "INPUT_INVALID");
      expect(answer.text).toContain("a label's key must be");
    }
    for (const bad of ["\\u0000", "\\n", "\\u001b[2J", "\\u202e", "\\ud800", "x".repeat(256)]) {
      expectRefused(await write(`{"a":"${bad}"}`), 400, "INPUT_INVALID");
    }
    for (const bad of [
      '{"__proto__":"x"}',
      '{"a":1}',
      '{"a":null}',
      "[]",
      '"a"',
      "null",
      manyLabels(33, ""),
      manyLabels(32, "x".repeat(130)),
    ]) {
      expectRefused(await write(bad), 400, "INPUT_INVALID");
    }
    for (const bad of ["=", "a%20b", "=x", "a%00", "a=%00", "a=%E2%80%AE"]) {
      expectRefused(await api.ask("GET", `/repositories?label=${bad}`), 400, "INPUT_INVALID");
    }
    expect((await write(manyLabels(32, "x".repeat(120)))).status).toBe(200);
    expect((await write("{}")).json()).toMatchObject({ labels: {}, revision: 2 });
  });

  it("begin with what their namespace says, made by a push or over the API, or with what its maker says instead", async () => {
    const name = freshName("org");
    const [owner, developer] = [await account(api), await account(api)];
    await api.ask("POST", "/organizations", { json: { name, owner: owner[0] } });
    const on = { kind: "namespace", name };
    await api.ask("POST", "/grants", { json: { role: "developer", to: { kind: "account", name: developer[0] }, on } });
    const rules = (json: object, as = owner, ifMatch = "*") =>
      api.ask("PUT", `/namespaces/${name}/rules`, { as, json, headers: { "if-match": ifMatch } });
    const template = { description: "# Ours", labels: { team: name } };
    const set = await rules({ template }, owner, '"1"');
    expect([set.status, set.header("etag"), set.json()]).toMatchObject([
      200,
      '"2"',
      { template, visibility: "private" },
    ]);
    expectRefused(await rules({ template: { labels: {} } }, owner, '"1"'), 412, "REVISION_STALE");
    expect((await rules({ visibility: "internal" })).json()).toMatchObject({ template, visibility: "internal" });
    expect((await api.ask("GET", `/namespaces/${name}`, { as: owner })).json()).toMatchObject({ template });
    expect((await api.ask("GET", "/namespaces?limit=1000")).text).not.toContain("template");
    expectRefused(await rules({ template: {} }, developer), 403, "DENIED");

    const described = async (repository: string) =>
      (await api.ask("GET", `/repositories/${repository}/description`, { as: developer })).json();
    await pushImage(api.registry.as(basic(...developer)), `${name}/pushed`, { tag: "v1" });
    expect(await described(`${name}/pushed`)).toMatchObject({ text: "# Ours", labels: { team: name }, revision: 1 });
    const make = (as: readonly [string, string], json: object) => api.ask("POST", "/repositories", { as, json });
    expect((await make(developer, { name: `${name}/made` })).status).toBe(200);
    expect(await described(`${name}/made`)).toMatchObject({ text: "# Ours", labels: { team: name } });
    // Who may push makes repositories, and describes none.
    expectRefused(await make(developer, { name: `${name}/own`, labels: {} }), 403, "DENIED");
    expectRefused(await api.ask("GET", `/repositories/${name}/own`, { as: owner }), 404, "NAME_UNKNOWN");
    expect((await make(owner, { name: `${name}/own`, labels: { mine: "yes" } })).status).toBe(200);
    expect(await described(`${name}/own`)).toMatchObject({ text: "# Ours", labels: { mine: "yes" } });
    expectRefused(await make(owner, { name: `${name}/own` }), 409, "CONFLICT");

    for (const bad of [
      "x",
      { label: {} },
      { description: 1 },
      { description: "\0" },
      { description: "\ud800" },
      { description: "x".repeat(8193) },
      { labels: { "-": "x" } },
      { labels: { a: "\u001b[2J" } },
      { labels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`k${String(at)}`, ""])) },
    ]) {
      expectRefused(await rules({ template: bad }), 400, "INPUT_INVALID");
      if (typeof bad === "object")
        expectRefused(await make(owner, { name: `${name}/bad`, ...bad }), 400, "INPUT_INVALID");
    }
    const longest = { description: "\u0001".repeat(8192), labels: { a: "€".repeat(255) } };
    expect((await rules({ template: longest })).json()).toMatchObject({ template: longest });
    const { template: none } = (await rules({ template: { description: null, labels: null } })).json() as {
      readonly template?: object;
    };
    expect(none).toBeUndefined();
    await until("the template is told", async () => (await detailsOf(api, "namespace-changed", name)).length === 4);
    expect(await detailsOf(api, "namespace-changed", name)).toContainEqual(
      expect.objectContaining({ after: expect.objectContaining({ template }) }),
    );
  });

  it("have their labels told in the audit log, as they were and as they are", async () => {
    const repository = freshRepository("relabelled");
    await pushIndex(api.registry, repository);
    for (const labels of [{ a: "1" }, { b: "2" }]) {
      const headers = { "if-match": "*" };
      await api.ask("PUT", `/repositories/${repository}/description`, { json: { labels }, headers });
    }
    const told = () => detailsOf(api, "labels-changed", repository);
    await until("both are told", async () => (await told()).length === 2);
    expect(await told()).toContainEqual(expect.objectContaining({ before: { a: "1" }, after: { b: "2" } }));
  });

  it("have uploads that the operator sees and ends", async () => {
    const repository = freshRepository("uploading");
    const location = await startUpload(api.registry, repository);
    const found = async () => {
      const { items } = (await api.ask("GET", "/uploads?limit=1000")).json() as {
        readonly items: readonly { readonly id: string; readonly repository: string }[];
      };
      return items.find((one) => one.repository === repository);
    };
    const { id = "" } = (await found()) ?? {};
    const removes = [{ kind: "upload", name: id, count: 1 }];
    expect((await api.ask("DELETE", `/uploads/${id}?dryRun=true`)).json()).toEqual({ dryRun: true, removes });
    expect((await api.registry.send("GET", location)).status).toBe(204);
    expect((await api.ask("DELETE", `/uploads/${id}`)).json()).toEqual({ dryRun: false, removes });
    expect((await api.registry.send("GET", location)).status).toBe(404);
    expectRefused(await api.ask("DELETE", `/uploads/${id}`), 404, "OBJECT_UNKNOWN");
    expect(await found()).toBeUndefined();
  });
});
