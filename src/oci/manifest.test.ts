import { describe, expect, test } from "bun:test";
import type { JsonValue } from "./json.ts";
import { parseManifest, readIndexEntries } from "./manifest.ts";
import { dockerManifest, dockerManifestList, ociIndex, ociManifest } from "./media-type.ts";
import { RegistryError } from "./problem.ts";

const digestOf = (letter: string): string => `sha256:${letter.repeat(64)}`;
const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
const configType = "application/vnd.oci.image.config.v1+json";
const layer = (letter: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  mediaType: layerType,
  digest: digestOf(letter),
  size: 1,
  ...fields,
});
const config = { mediaType: configType, digest: digestOf("c"), size: 2 };
const image = { schemaVersion: 2, mediaType: ociManifest, config, layers: [layer("a")] };
const index = { schemaVersion: 2, mediaType: ociIndex, manifests: [layer("a", { mediaType: ociManifest })] };

/** Without the brands of what only a parser makes. */
const plain = (value: unknown): unknown => value;

const parse = (body: unknown, contentType?: string) => parseManifest(Buffer.from(JSON.stringify(body)), contentType);
const kinds = (...layers: readonly unknown[]) =>
  parse({ ...image, layers })
    .edges.map(({ kind }) => kind)
    .slice(1);

/** The code and what is told of it; `undefined` for what is taken. */
function refusal(body: unknown, contentType?: string): string | undefined {
  try {
    parse(body, contentType);
    return undefined;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const [problem] = error.problems;
    return `${problem.code} ${"reason" in problem ? problem.reason : ""}`;
  }
}
/** The bodies, and whether each is taken. */
const taken = (...bodies: readonly unknown[]) => bodies.map((body) => refusal(body) === undefined);

describe("what a manifest names", () => {
  test("an image its config and layers, and its config's type is its own", () => {
    expect(plain(parse(image))).toEqual({
      mediaType: ociManifest,
      edges: [
        { digest: digestOf("c"), kind: "content" },
        { digest: digestOf("a"), kind: "content" },
      ],
      subject: undefined,
      artifactType: configType,
      annotations: undefined,
    });
  });

  test("an index its children, and no type but its own", () => {
    const body = { ...index, artifactType: "application/x.y", subject: layer("5"), annotations: { a: "b" } };
    expect(plain(parse(body))).toEqual({
      mediaType: ociIndex,
      edges: [{ digest: digestOf("a"), kind: "child" }],
      subject: digestOf("5"),
      artifactType: "application/x.y",
      annotations: { a: "b" },
    });
    expect(parse(index).artifactType).toBeUndefined();
  });

  test("a foreign layer by its type or by its addresses", () => {
    expect(
      kinds(
        layer("a", { mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }),
        layer("b", { urls: ["https://example.com/layer"] }),
        layer("d", { urls: [] }),
        layer("e", { urls: "https://example.com/layer" }),
      ),
    ).toEqual(["foreign", "foreign", "content", "content"]);
  });

  test("docker's form as it is", () => {
    expect<string>(parse({ ...image, mediaType: dockerManifest }).mediaType).toBe(dockerManifest);
    expect<string>(parse({ ...index, mediaType: dockerManifestList }).mediaType).toBe(dockerManifestList);
  });
});

describe("the type of a manifest", () => {
  const { mediaType: _, ...bare } = image;

  test("is the header's or the body's, and both must say the same", () => {
    expect(refusal(image, ociManifest)).toBeUndefined();
    expect(refusal(image, `${ociManifest}; charset=utf-8`)).toBeUndefined();
    expect(refusal(bare, ociManifest)).toBeUndefined();
    expect(refusal(image)).toBeUndefined();
    expect(refusal(image, "")).toBeUndefined();
    expect(refusal(bare)).toContain("MANIFEST_INVALID neither");
    expect(refusal(image, ociIndex)).toContain("MANIFEST_INVALID Content-Type");
    expect(refusal(image, dockerManifest)).toContain("differ");
    expect(refusal(bare, dockerManifest)).toContain("must name its mediaType");
    expect(refusal(image, "no type")).toContain("is not a media type");
    expect(refusal({ ...image, mediaType: 5 })).toContain("must be a string");
    expect(refusal({ ...image, mediaType: `${ociManifest};x` }, ociManifest)).toContain("differ");
  });

  test("is one that is stored here", () => {
    for (const type of [
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
      "application/vnd.docker.distribution.manifest.v1+json",
      "application/json",
      "application/vnd.oci.artifact.manifest.v1+json",
    ]) {
      expect(refusal({ ...image, mediaType: type }, type)).toContain("not a manifest that this registry stores");
    }
  });

  test("cannot be two at once", () => {
    expect(taken({ ...image, manifests: [] }, { ...index, layers: [] }, { ...index, config })).toEqual([
      false,
      false,
      false,
    ]);
  });

  test.each([
    "Layers",
    "LAYERS",
    "layer\u017F",
    "Config",
    "Manifests",
    "manife\u017Ft\u017F",
    "MediaType",
    "Subject",
    "\u017Fubject",
  ])("%s, which Go reads as the field it looks like, is refused", (name) => {
    expect(refusal({ ...image, [name]: [] })).toContain("looks like");
    expect(refusal({ ...index, [name]: [] })).toContain("looks like");
  });

  test.each(["Digest", "DIGEST", "dige\u017Ft", "Size", "MediaType", "Urls"])(
    "%s in a descriptor is refused",
    (name) => {
      const odd = { [name]: digestOf("f") };
      expect(refusal({ ...image, config: { ...config, ...odd } })).toContain("looks like");
      expect(refusal({ ...image, layers: [layer("a"), layer("b", odd)] })).toContain("looks like");
      expect(refusal({ ...index, manifests: [layer("a", odd)] })).toContain("looks like");
      expect(refusal({ ...image, subject: layer("a", odd) })).toContain("looks like");
    },
  );
});

describe("a manifest that is none", () => {
  const odd: readonly (readonly [string, unknown])[] = [
    ["no list of layers", { ...image, layers: undefined }],
    ["layers that are an object", { ...image, layers: { 0: layer("a") } }],
    ["a layer that is a list", { ...image, layers: [[]] }],
    ["a layer that is null", { ...image, layers: [null] }],
    ["no config", { ...image, config: undefined }],
    ["a config that is null", { ...image, config: null }],
    ["schema 1", { ...image, schemaVersion: 1 }],
    ["schema 2 as text", { ...image, schemaVersion: "2" }],
    ["no schema", { ...image, schemaVersion: undefined }],
    ["a negative size", { ...image, config: { ...config, size: -1 } }],
    ["a fraction of a size", { ...image, config: { ...config, size: 1.5 } }],
    ["a size as text", { ...image, config: { ...config, size: "1" } }],
    ["a size beyond 2^53", { ...image, config: { ...config, size: 2 ** 53 } }],
    ["a size beyond all", { ...image, layers: [layer("a", { size: 1e308 })] }],
    ["no size", { ...image, config: { ...config, size: undefined } }],
    ["no type of a layer", { ...image, layers: [layer("a", { mediaType: "" })] }],
    ["a type that is none", { ...image, layers: [layer("a", { mediaType: "layer" })] }],
    ["a NUL in a type's parameters", { ...image, config: { ...config, mediaType: "a/b; x=\0" } }],
    ["a line end in them", { ...image, config: { ...config, mediaType: "a/b; x=\n" } }],
    ["a type beyond all", { ...image, config: { ...config, mediaType: `a/b;${"x".repeat(600)}` } }],
    ["a subject that is text", { ...image, subject: digestOf("a") }],
    ["annotations that are a list", { ...image, annotations: ["a"] }],
    ["annotations that are numbers", { ...image, annotations: { a: 1 } }],
    ["annotations that are nested", { ...image, annotations: { a: { b: "c" } } }],
    ["an artifact type that is none", { ...image, artifactType: "sbom" }],
    ["an artifact type that is a number", { ...image, artifactType: 1 }],
  ];
  test.each(odd)("%s", (_name, body) => {
    expect(refusal(body)).toStartWith("MANIFEST_INVALID");
  });

  test.each([
    undefined,
    null,
    5,
    "",
    "sha256:abc",
    `sha256:${"A".repeat(64)}`,
    `md5:${"a".repeat(32)}`,
    ["x"],
    "x".repeat(9999),
  ])("the digest %p", (digest) => {
    expect(refusal({ ...image, config: { ...config, digest } })).toBe("DIGEST_INVALID config.digest is not a digest");
    expect(refusal({ ...image, layers: [layer("a"), layer("a", { digest })] })).toContain("layers[1].digest");
    expect(refusal({ ...image, subject: layer("a", { digest }) })).toContain("subject.digest");
  });

  test("bytes that are no JSON object", () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from("[]"), Buffer.alloc(1_000_000, "["), Buffer.from([0xff, 0xfe])]) {
      expect(() => parseManifest(bytes, ociManifest)).toThrow("MANIFEST_INVALID");
    }
  });
});

describe("a manifest that is odd and still one", () => {
  test("null and empty where Go writes them, unknown fields, twice the same layer", () => {
    expect(
      taken(
        { ...image, subject: null, annotations: null },
        { ...image, annotations: {}, artifactType: "" },
        { ...image, layers: [] },
        { ...index, manifests: [] },
        { ...image, layers: [layer("a"), layer("a")], extra: { deep: [1] } },
        { ...image, config: { ...config, data: "e30=", platform: {}, annotations: {} } },
        { ...image, config: { ...config, size: 0 } },
        { ...image, config: { ...config, mediaType: "application/x.y; v=1" } },
      ),
    ).toEqual(Array.from({ length: 8 }, () => true));
  });

  test("__proto__ gives it nothing that it does not have", () => {
    const body = `{"__proto__":${JSON.stringify(image)},"schemaVersion":2}`;
    expect(() => parseManifest(Buffer.from(body), ociManifest)).toThrow("MANIFEST_INVALID");
    const annotated = JSON.stringify(image).replace("{", '{"annotations":{"__proto__":"x","a":"b"},');
    const { annotations } = parseManifest(Buffer.from(annotated), ociManifest);
    expect(JSON.stringify(annotations)).toBe('{"__proto__":"x","a":"b"}');
  });

  test("four megabytes of descriptors are read quickly", () => {
    const manifests = Array.from({ length: 28_000 }, (_, at) => ({
      mediaType: "a/b",
      size: at,
      digest: `sha256:${at.toString(16).padStart(64, "0")}`,
    }));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
    const started = performance.now();
    expect(parseManifest(bytes, ociIndex).edges.length).toBe(28_000);
    expect(performance.now() - started).toBeLessThan(1500);
  });
});

const entries = (value: JsonValue | undefined) => readIndexEntries(Buffer.from(JSON.stringify(value)));

test("an index's entries are its objects, as they stand; of anything else there are none", () => {
  expect(entries({ manifests: [{ a: 1 }, null, [], "x", { b: { c: 2 } }] })).toEqual([{ a: 1 }, { b: { c: 2 } }]);
  expect([entries({}), entries({ manifests: {} }), entries([]), readIndexEntries(Buffer.from("{"))]).toEqual([
    [],
    [],
    [],
    [],
  ]);
});
