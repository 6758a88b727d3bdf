import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { digestOf, jsonBytes, mediaTypes, pushBlob, pushImage, pushIndex, startUpload } from "./content.ts";
import { expectClientError, expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const indexPush = { headers: { "Content-Type": mediaTypes.index }, body: '{"schemaVersion":2,"manifests":[]}' };
const someDigest = digestOf("some bytes");

describe("malformed repository names are 400 NAME_INVALID on writes, and 400 or 404 on reads", () => {
  const names = [
    "Acme/app",
    "acme/App",
    "acme//app",
    "acme/-app",
    "acme/app-",
    "acme/.app",
    "acme/app.",
    "acme/_app",
    "acme/app_",
    "acme/a___b",
    "acme/a..b",
    "acme/a._b",
    "acme/a b",
    "acme/a%20b",
    "acme/a%00b",
    "acme/a%0ab",
    "acme/ümlaut",
    "acme/a:b",
    "acme/a@b",
    "acme/a';--",
    'acme/a"b',
    "acme/a%5cb",
    "a".repeat(256),
    `acme/${"b".repeat(252)}`,
    "_uploads/app",
    "acme/_uploads",
  ];
  for (const name of names) {
    const shown = name.length > 40 ? `${name.slice(0, 20)}... (${String(name.length)} characters)` : name;
    const target = Buffer.from(name).toString("latin1").replaceAll(" ", "%20");
    test(shown, async () => {
      const manifest = await registry.send("PUT", `/v2/${target}/manifests/v1`, indexPush);
      const upload = await registry.send("POST", `/v2/${target}/blobs/uploads/`, { body: "" });
      expectProblem(manifest, 400, "NAME_INVALID");
      expectProblem(upload, 400, "NAME_INVALID");
      for (const path of ["manifests/v1", `blobs/${someDigest}`, "tags/list", `referrers/${someDigest}`]) {
        const read = await registry.send("GET", `/v2/${target}/${path}`);
        expectProblem(read, [400, 404], "NAME_INVALID", "NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN");
      }
    });
  }
});

describe("well-formed repository names work", () => {
  const suffix = freshRepository("x");
  const names = [
    "a__b",
    "a--b",
    "a---------b",
    "a.b/c_d",
    "0",
    "a/b/c/d/e/f/g",
    "a-b.c_d__e",
    // Routes are found from the right, so that the words of the protocol may be names.
    "blobs",
    "manifests/tags",
    "uploads/blobs/uploads",
    "v2/referrers",
    "a/manifests/b",
    "a/blobs/uploads",
    "tags/list",
    "a/referrers",
  ];
  for (const name of names) {
    test(name, async () => {
      const repository = `${suffix}/${name}`;
      const image = await pushImage(registry, repository, { tag: "latest" });
      const manifest = await registry.send("GET", `/v2/${repository}/manifests/latest`);
      const tags = await registry.send("GET", `/v2/${repository}/tags/list`);
      const blob = await registry.send("GET", `/v2/${repository}/blobs/${image.config.digest}`);
      const referrers = await registry.send("GET", `/v2/${repository}/referrers/${image.digest}`);
      expect([manifest.status, tags.status, blob.status, referrers.status]).toEqual([200, 200, 200, 200]);
      expect(manifest.bytes.equals(image.bytes)).toBe(true);
      expect(tags.json()).toEqual({ name: repository, tags: ["latest"] });
    });
  }

  test("/v2/a/manifests/b/manifests/latest is the repository a/manifests/b", async () => {
    const a = freshRepository();
    const inner = await pushIndex(registry, `${a}/manifests/b`, { tag: "latest" });
    const found = await registry.send("GET", `/v2/${a}/manifests/b/manifests/latest`);
    const outer = await registry.send("GET", `/v2/${a}/tags/list`);
    expect(found.header("docker-content-digest")).toBe(inner.digest);
    expect(outer.status).toBe(404);
  });

  test("a name of 255 characters is the longest", async () => {
    const name = freshRepository("long/a").padEnd(255, "x");
    const pushed = await registry.send("PUT", `/v2/${name}/manifests/v1`, indexPush);
    const longer = await registry.send("PUT", `/v2/${name}x/manifests/v1`, indexPush);
    expect(pushed.status).toBe(201);
    expectProblem(longer, 400, "NAME_INVALID");
  });

  test("a name without a slash is a repository, and not the one of the same name in library", async () => {
    const name = freshRepository("app");
    await pushIndex(registry, name, { tag: "v1" });
    const short = await registry.send("GET", `/v2/${name}/tags/list`);
    const library = await registry.send("GET", `/v2/library/${name}/tags/list`);
    expect(short.json()).toEqual({ name, tags: ["v1"] });
    expectProblem(library, 404, "NAME_UNKNOWN");
  });
});

describe("percent-encoded traversal never leaves the repository and is a 4xx", () => {
  const targets = [
    `/v2/acme/%2e%2e/app/blobs/${someDigest}`,
    `/v2/acme/%2e%2e%2f%2e%2e%2fapp/blobs/${someDigest}`,
    `/v2/acme%2Fapp%2F..%2F..%2Fetc/blobs/${someDigest}`,
    "/v2/acme/../../etc/passwd",
    "/v2/%2F%2F..%2F..%2F..%2Fetc%2Fpasswd",
    "/v2/acme/app/manifests/..%2f..%2f..%2fetc%2fpasswd",
    "/v2/acme/app/manifests/%2e%2e",
    "/v2/acme/app/manifests/../../../app/manifests/v1",
    "/v2/acme/app/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd",
    "/v2/acme/app/blobs/..%2fuploads%2f",
    "/v2/acme/app/blobs/uploads/..%2f..%2f..%2f",
    "/v2/acme/app/blobs/uploads/%2e%2e",
    "/v2/acme/app/blobs/uploads/..",
    "/v2/acme/app/blobs/uploads/%00",
    "/v2/acme/app/referrers/..%2f..%2fetc",
    "/v2/acme/app/manifests/%c0%ae%c0%ae",
    "/v2/acme/app/manifests/%",
    "/v2/acme/app/manifests/%zz",
  ];
  for (const target of targets) {
    for (const method of ["GET", "HEAD", "DELETE"]) {
      test(`${method} ${target}`, async () => {
        expectClientError(await registry.send(method, target));
      });
    }
  }

  test("an encoded slash in a name does not reach the repository behind it", async () => {
    const repository = freshRepository("acme/inner");
    await pushIndex(registry, repository, { tag: "v1" });
    const sibling = freshRepository("acme/outer");
    await pushIndex(registry, sibling, { tag: "v1" });
    const climb = `/v2/${sibling}%2f..%2f..%2f${repository}/tags/list`;
    expectClientError(await registry.send("GET", climb));
    expectClientError(await registry.send("GET", `/v2/${repository.replace("/", "%2f")}/tags/list`));
    expectClientError(await registry.send("GET", `/v2/${repository.replace("/", "%2F")}/manifests/v1`));
    expectClientError(await registry.send("GET", "/v2/_oci%2Fext%2Fdiscover"));
  });

  test("dot segments are refused, plain or encoded, wherever they lead", async () => {
    const repository = freshRepository("acme/inner");
    await pushIndex(registry, repository, { tag: "v1" });
    for (const dots of ["../..", "%2e%2e/%2e%2e", ".%2e/%2E.", "./../app/../.."]) {
      const target = `/v2/library/app/${dots}/${repository}/tags/list`;
      expectClientError(await registry.send("GET", target));
      expectClientError(await registry.as(undefined).send("GET", target));
    }
  });

  test("writes with traversal put nothing outside the data folder", async () => {
    const { data } = registry.server();
    const before = await readdir(dirname(data));
    for (const name of ["..%2f..%2fescape", "%2e%2e/%2e%2e/escape", "..%5c..%5cescape", "%2Fescape"]) {
      expectClientError(await registry.send("PUT", `/v2/${name}/manifests/v1`, indexPush));
      expectClientError(await registry.send("POST", `/v2/${name}/blobs/uploads/`, { body: "" }));
    }
    const added = (await readdir(dirname(data))).filter((entry) => !before.includes(entry));
    expect(added.filter((entry) => entry.includes("escape"))).toEqual([]);
  });
});

describe("tags", () => {
  const repository = freshRepository();
  const put = (tag: string) => registry.send("PUT", `/v2/${repository}/manifests/${tag}`, indexPush);

  test("a tag of 128 characters is accepted, one of 129 is 400", async () => {
    expect((await put("t".repeat(128))).status).toBe(201);
    expect((await registry.send("GET", `/v2/${repository}/manifests/${"t".repeat(128)}`)).status).toBe(200);
    expectProblem(await put("t".repeat(129)), 400, "MANIFEST_INVALID", "TAG_INVALID");
  });

  test("a tag starting with . or - is 400", async () => {
    for (const tag of [".hidden", "-dash"]) {
      expectProblem(await put(tag), 400, "MANIFEST_INVALID", "TAG_INVALID");
    }
  });

  test("characters outside the grammar are 400", async () => {
    for (const tag of ["a+b", "a%20b", "a%2fb", "a%00", "%C3%BC", "a~b", "a'b", "a;--", "a$b", "a%25"]) {
      expectProblem(await put(tag), 400, "MANIFEST_INVALID", "TAG_INVALID", "NAME_INVALID");
    }
  });

  test("every character of the grammar works, and case counts", async () => {
    for (const tag of ["_", "A", "0", "Z9_.-", "v1.0.0_build.5", "latest", "LATEST", "sha256-abc.sig"]) {
      expect((await put(tag)).status).toBe(201);
      expect((await registry.send("GET", `/v2/${repository}/manifests/${tag}`)).status).toBe(200);
    }
    expect((await registry.send("GET", `/v2/${repository}/manifests/Latest`)).status).toBe(404);
  });

  test("a percent-encoded tag or digest is the same tag or digest", async () => {
    const image = await pushIndex(registry, repository, { tag: "plain" });
    const byTag = await registry.send("GET", `/v2/${repository}/manifests/%70lain`);
    const byDigest = await registry.send("GET", `/v2/${repository}/manifests/${image.digest.replace(":", "%3A")}`);
    expect(byTag.header("docker-content-digest")).toBe(image.digest);
    expect(byDigest.header("docker-content-digest")).toBe(image.digest);
  });
});

describe("malformed digests are 400 DIGEST_INVALID on writes, and 400 or 404 on reads, never 500", () => {
  const hex = "a".repeat(64);
  const malformed = [
    "sha256:xyz",
    "sha256:baddigeststring",
    `sha256:${"A".repeat(64)}`,
    `sha256:${"a".repeat(63)}`,
    `sha256:${"a".repeat(65)}`,
    `sha512:${hex}`,
    `md5:${"a".repeat(32)}`,
    `sha1:${"a".repeat(40)}`,
    `SHA256:${hex}`,
    `sha256:${hex}%0a`,
    "sha256:..%2f..%2fx",
    "sha256:",
    `:${hex}`,
    `sha256:${hex}:${hex}`,
  ];
  for (const digest of malformed) {
    test(digest.length > 40 ? `${digest.slice(0, 30)}... (${String(digest.length)})` : digest, async () => {
      const repository = freshRepository();
      await pushBlob(registry, repository, Buffer.from("x"));
      for (const method of ["GET", "HEAD", "DELETE"]) {
        for (const kind of ["blobs", "manifests"]) {
          const answer = await registry.send(method, `/v2/${repository}/${kind}/${digest}`);
          expect([400, 404]).toContain(answer.status);
        }
      }
      const location = await startUpload(registry, repository);
      const put = await registry.send("PUT", `${location}?digest=${digest}`, { body: "x" });
      expectProblem(put, 400, "DIGEST_INVALID");
      const post = await registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: "x" });
      expectProblem(post, 400, "DIGEST_INVALID");
      const manifest = await registry.send("PUT", `/v2/${repository}/manifests/${digest}`, indexPush);
      // An encoded slash in the path is refused before anyone asks what the part with it was to be.
      const codes = ["DIGEST_INVALID", ...(digest.includes("%2f") ? ["NAME_INVALID"] : [])];
      expectProblem(manifest, 400, "TAG_INVALID", "MANIFEST_INVALID", ...codes);
      const referrers = await registry.send("GET", `/v2/${repository}/referrers/${digest}`);
      expectProblem(referrers, 400, ...codes);
    });
  }

  test("a descriptor with a malformed digest is 400", async () => {
    const repository = freshRepository();
    const descriptor = { mediaType: mediaTypes.config, size: 2 };
    for (const digest of ["sha256:../../x", `sha256:${"A".repeat(64)}`, "md5:0", "", 5, null, undefined]) {
      const body = jsonBytes({ schemaVersion: 2, config: { ...descriptor, digest }, layers: [] });
      const headers = { "Content-Type": mediaTypes.image };
      const answer = await registry.send("PUT", `/v2/${repository}/manifests/v1`, { headers, body });
      expectProblem(answer, 400, "MANIFEST_INVALID", "DIGEST_INVALID");
    }
  });
});
