import { describe, expect, test } from "bun:test";
import { RegistryError } from "../../oci/problem.ts";
import { parseRoute } from "./route.ts";

const digest = `sha256:${"a".repeat(64)}`;

/** The route, or the code of the refusal. */
function read(path: string): unknown {
  try {
    return parseRoute(path);
  } catch (error) {
    if (error instanceof RegistryError) return error.problems[0].code;
    throw error;
  }
}
const of = (endpoint: string, repository: string, target: string) => ({
  kind: "repository",
  endpoint,
  repository,
  target,
});

describe("a path", () => {
  test.each([
    ["/v2", { kind: "base" }],
    ["/v2/", { kind: "base" }],
    ["/v2/_catalog", { kind: "catalog" }],
    ["/v2/_oci/ext/discover", { kind: "extensions" }],
    ["/v2/a/tags/list", of("tags", "a", "list")],
    ["/v2/a/b/c/tags/list", of("tags", "a/b/c", "list")],
    ["/v2/a/manifests/latest", of("manifest", "a", "latest")],
    [`/v2/a/manifests/${digest}`, of("manifest", "a", digest)],
    [`/v2/a/manifests/${digest.replace(":", "%3A")}`, of("manifest", "a", digest)],
    [`/v2/a/blobs/${digest}`, of("blob", "a", digest)],
    ["/v2/a/blobs/uploads", of("uploads", "a", "uploads")],
    ["/v2/a/blobs/uploads/", of("uploads", "a", "")],
    ["/v2/a/blobs/uploads/id", of("upload", "a", "id")],
    [`/v2/a/referrers/${digest}`, of("referrers", "a", digest)],
    ["/v2/a/manifests/", of("manifest", "a", "")],
  ] as const)("%s", (path, route) => {
    expect(read(path)).toEqual(route);
  });

  test.each([
    ["/v2/manifests/manifests/manifests", of("manifest", "manifests", "manifests")],
    ["/v2/blobs/uploads/blobs/uploads/", of("uploads", "blobs/uploads", "")],
    ["/v2/blobs/uploads/blobs/uploads/id", of("upload", "blobs/uploads", "id")],
    ["/v2/tags/list/tags/list", of("tags", "tags/list", "list")],
    ["/v2/a/blobs/uploads/tags/list", of("tags", "a/blobs/uploads", "list")],
    ["/v2/a/tags/list/manifests/v1", of("manifest", "a/tags/list", "v1")],
    ["/v2/referrers/referrers/x", of("referrers", "referrers", "x")],
    ["/v2/v2/v2/manifests/v2", of("manifest", "v2/v2", "v2")],
  ] as const)("%s is read from its end, for a name may hold an endpoint's words", (path, route) => {
    expect(read(path)).toEqual(route);
  });

  test.each(["/", "", "/v1/", "/v22/", "/v2a", "/V2/", "/api/v2/", "v2/", "/token"])("%j is none of ours", (path) => {
    expect(read(path)).toBeUndefined();
  });

  test.each([
    "/v2/a",
    "/v2/a/",
    "/v2/tags/list",
    "/v2/a/tags",
    "/v2/a/tags/",
    "/v2/a/tags/lists",
    "/v2/a/tags/list/",
    "/v2/manifests/latest",
    "/v2/a/manifests",
    "/v2/_catalog/",
    "/v2/_oci/ext",
    "/v2/a/referrers",
    "/v2/a/blobs",
    "/v2/a/_layers/x",
  ])("%s is no endpoint", (path) => {
    expect(read(path)).toBe("ROUTE_UNKNOWN");
  });

  test.each([
    "/v2//manifests/latest",
    "/v2/A/manifests/latest",
    "/v2/a//b/manifests/latest",
    "/v2/../manifests/latest",
    "/v2/a/../b/manifests/latest",
    "/v2/a%2Fb/manifests/latest",
    "/v2/%2e%2e/manifests/latest",
    "/v2/a%00/manifests/latest",
    "/v2/a%/manifests/latest",
    "/v2/%ff/manifests/latest",
    "/v2/a%252fb/manifests/latest",
    "/v2/ä/manifests/latest",
    `/v2/${"a".repeat(256)}/manifests/latest`,
    "/v2/a/manifests/%zz",
    "/v2//blobs/uploads/",
  ])("%s has no name that could be", (path) => {
    expect(read(path)).toBe("NAME_INVALID");
  });

  test("what follows the endpoint is decoded once, and is one part", () => {
    expect(read("/v2/a/manifests/a%2Fb")).toEqual(of("manifest", "a", "a/b"));
    expect(read("/v2/a/manifests/%2541")).toEqual(of("manifest", "a", "%41"));
    expect(read("/v2/%61/manifests/%76")).toEqual(of("manifest", "a", "v"));
  });

  test("of a megabyte is read at once", () => {
    const started = performance.now();
    expect(read(`/v2/${"a/".repeat(500_000)}manifests/x`)).toBe("NAME_INVALID");
    expect(read(`/v2/${"%61".repeat(300_000)}/manifests/x`)).toBe("NAME_INVALID");
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
