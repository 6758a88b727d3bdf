import { describe, expect, test } from "bun:test";
import {
  absentDigest,
  type Descriptor,
  digestOf,
  indexBytes,
  jsonBytes,
  mediaTypes,
  pushImage,
  pushIndex,
  pushManifest,
  randomText,
} from "./content.ts";
import { type Answer, expectProblem, freshRepository, useRegistry } from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

const fallbackTag = (digest: string): string => digest.replace(":", "-");

const listed = (answer: Answer): readonly Descriptor[] =>
  (answer.json() as { manifests: readonly Descriptor[] }).manifests;

function expectIndex(answer: Answer): void {
  expect(answer.status).toBe(200);
  expect(answer.header("content-type")).toBe(mediaTypes.index);
  expect(answer.json()).toMatchObject({ schemaVersion: 2, mediaType: mediaTypes.index });
  expect(listed(answer)).toBeArray();
}

const digestsIn = (answer: Answer): readonly string[] => listed(answer).map(({ digest }) => digest);

describeEachDatabase("referrers", (dialect) => {
  const registry = useRegistry({ dialect });

  const referrersOf = (repository: string, digest: string, query = ""): Promise<Answer> =>
    registry.send("GET", `/v2/${repository}/referrers/${digest}${query}`);

  test("an unknown repository or subject is 200 with an empty OCI index of the exact Content-Type", async () => {
    const repository = freshRepository();
    await pushIndex(registry, repository, { tag: "v1" });
    for (const asked of [freshRepository(), repository]) {
      const answer = await referrersOf(asked, absentDigest());
      expectIndex(answer);
      expect(answer.json()).toEqual({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] });
    }
  });

  test("the all-zero digest is 200 with an empty index", async () => {
    for (const digest of [`sha256:${"0".repeat(64)}`, `sha512:${"0".repeat(128)}`]) {
      const answer = await referrersOf(freshRepository(), digest);
      expectIndex(answer);
      expect(listed(answer)).toEqual([]);
    }
  });

  test("a malformed digest is 400", async () => {
    for (const digest of ["sha256:xyz", "latest", `sha256:${"A".repeat(64)}`, `md5:${"a".repeat(32)}`]) {
      expectProblem(await referrersOf(freshRepository(), digest), 400, "DIGEST_INVALID");
    }
  });

  describe("PUT with subject answers OCI-Subject", () => {
    const subjects: Readonly<Record<string, (repository: string) => Promise<Descriptor>>> = {
      "for a subject that exists": async (repository) => (await pushImage(registry, repository)).descriptor,
      "for a subject that does not exist": async () => ({
        mediaType: mediaTypes.image,
        digest: absentDigest(),
        size: 7,
      }),
    };
    for (const [name, makeSubject] of Object.entries(subjects)) {
      test(`${name}, from an image, an index and an artifact, by tag and by digest`, async () => {
        const repository = freshRepository();
        const subject = await makeSubject(repository);
        const config = (await pushImage(registry, repository)).config;
        const base = { schemaVersion: 2, subject };
        const bodies = [
          { type: mediaTypes.image, body: jsonBytes({ ...base, mediaType: mediaTypes.image, config, layers: [] }) },
          { type: mediaTypes.index, body: jsonBytes({ ...base, mediaType: mediaTypes.index, manifests: [] }) },
          {
            type: mediaTypes.image,
            body: jsonBytes({ ...base, artifactType: "application/x.sbom", config, layers: [] }),
          },
        ];
        for (const { type, body } of bodies) {
          for (const reference of [digestOf(body), "v1"]) {
            const target = `/v2/${repository}/manifests/${reference}`;
            const answer = await registry.send("PUT", target, { headers: { "Content-Type": type }, body });
            expect([answer.status, answer.header("oci-subject")]).toEqual([201, subject.digest]);
          }
        }
        const found = digestsIn(await referrersOf(repository, subject.digest));
        expect(found.toSorted()).toEqual(bodies.map(({ body }) => digestOf(body)).toSorted());
      });
    }

    test("and a manifest without subject has no OCI-Subject", async () => {
      const body = indexBytes([], { annotations: { id: randomText() } });
      const headers = { "Content-Type": mediaTypes.index };
      const answer = await registry.send("PUT", `/v2/${freshRepository()}/manifests/v1`, { headers, body });
      expect([answer.status, answer.header("oci-subject")]).toEqual([201, undefined]);
    });

    test("that is a sha512 digest as that digest", async () => {
      const repository = freshRepository();
      const digest = digestOf(randomText(), "sha512");
      const subject = { mediaType: mediaTypes.image, digest, size: 7 };
      const pushed = await pushImage(registry, repository, { fields: { subject } });
      expect(digestsIn(await referrersOf(repository, digest))).toEqual([pushed.digest]);
    });
  });

  async function descriptorOf(
    repository: string,
    referrer: Descriptor,
    subject: string,
  ): Promise<Descriptor | undefined> {
    return listed(await referrersOf(repository, subject)).find(({ digest }) => digest === referrer.digest);
  }

  describe("a referrer's descriptor", () => {
    test("has the right size, mediaType and all annotations", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository)).descriptor;
      const annotations = {
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
        a: "",
        "b/c": 'ü"\\ \u{1F600}',
      };
      const pushed = await pushImage(registry, repository, { fields: { subject, annotations } });
      expect(await descriptorOf(repository, pushed.descriptor, subject.digest)).toEqual({
        mediaType: mediaTypes.image,
        digest: pushed.digest,
        size: pushed.bytes.length,
        artifactType: mediaTypes.config,
        annotations,
      });
    });

    test("has the manifest's own artifactType, else the type of its config", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository)).descriptor;
      const own = await pushImage(registry, repository, { fields: { subject, artifactType: "application/x.sbom" } });
      const fromConfig = await pushImage(registry, repository, { fields: { subject } });
      expect((await descriptorOf(repository, own.descriptor, subject.digest))?.["artifactType"]).toBe(
        "application/x.sbom",
      );
      expect((await descriptorOf(repository, fromConfig.descriptor, subject.digest))?.["artifactType"]).toBe(
        mediaTypes.config,
      );
    });

    test("of an index has its artifactType, or none where it has none", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository)).descriptor;
      const typed = await pushIndex(registry, repository, { fields: { subject, artifactType: "application/x.set" } });
      const untyped = await pushIndex(registry, repository, { fields: { subject } });
      const typedDescriptor = await descriptorOf(repository, typed.descriptor, subject.digest);
      const untypedDescriptor = await descriptorOf(repository, untyped.descriptor, subject.digest);
      expect(typedDescriptor).toMatchObject({ mediaType: mediaTypes.index, artifactType: "application/x.set" });
      expect(untypedDescriptor).toEqual({
        mediaType: mediaTypes.index,
        digest: untyped.digest,
        size: untyped.bytes.length,
      });
    });
  });

  describe("?artifactType=", () => {
    test("filters and sets OCI-Filters-Applied; without it the header is absent", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository)).descriptor;
      const push = (artifactType: string) => pushImage(registry, repository, { fields: { subject, artifactType } });
      const sbom = await push("application/x.sbom+json");
      const signature = await push("application/x.signature");
      const plain = await referrersOf(repository, subject.digest);
      expect(plain.header("oci-filters-applied")).toBeUndefined();
      expect(digestsIn(plain).toSorted()).toEqual([sbom.digest, signature.digest].toSorted());
      const filtered = await referrersOf(repository, subject.digest, "?artifactType=application%2Fx.sbom%2Bjson");
      expectIndex(filtered);
      expect(filtered.header("oci-filters-applied")).toBe("artifactType");
      expect(digestsIn(filtered)).toEqual([sbom.digest]);
      const none = await referrersOf(repository, subject.digest, "?artifactType=application/x.other");
      expect([none.header("oci-filters-applied"), digestsIn(none)]).toEqual(["artifactType", []]);
    });

    test("given several times answers each of them, or does not claim to have filtered", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository)).descriptor;
      const pushed = await Promise.all(
        ["a/a", "b/b", "c/c"].map((artifactType) =>
          pushImage(registry, repository, { fields: { subject, artifactType } }),
        ),
      );
      const answer = await referrersOf(repository, subject.digest, "?artifactType=a/a&artifactType=b/b");
      const found = digestsIn(answer);
      expect(found).toContain(pushed[0]?.digest ?? "none");
      expect(found).toContain(pushed[1]?.digest ?? "none");
      expect(found.includes(pushed[2]?.digest ?? "none")).toBe(answer.header("oci-filters-applied") === undefined);
    });
  });

  test("an artifact pushed before its subject is listed, before and after the subject arrives", async () => {
    const repository = freshRepository();
    const bytes = indexBytes([], { annotations: { id: randomText() } });
    const subject = { mediaType: mediaTypes.index, digest: digestOf(bytes), size: bytes.length };
    const artifact = await pushImage(registry, repository, { fields: { subject } });
    expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([artifact.digest]);
    await pushManifest(registry, { repository, bytes, mediaType: mediaTypes.index, tag: "v1" });
    expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([artifact.digest]);
  });

  test("deleting a referrer removes it; deleting the subject leaves the endpoint at 200", async () => {
    const repository = freshRepository();
    const subject = await pushImage(registry, repository, { tag: "v1" });
    const first = await pushImage(registry, repository, { fields: { subject: subject.descriptor } });
    const second = await pushImage(registry, repository, { tag: "second", fields: { subject: subject.descriptor } });
    expect((await registry.send("DELETE", `/v2/${repository}/manifests/${first.digest}`)).status).toBe(202);
    expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([second.digest]);
    // A tag that goes takes no referrer with it.
    expect((await registry.send("DELETE", `/v2/${repository}/manifests/second`)).status).toBe(202);
    expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([second.digest]);
    expect((await registry.send("DELETE", `/v2/${repository}/manifests/${subject.digest}`)).status).toBe(202);
    const answer = await referrersOf(repository, subject.digest);
    expectIndex(answer);
    expect([[], [second.digest]]).toContainEqual([...digestsIn(answer)]);
  });

  test("referrers of one repository are not those of another", async () => {
    const [here, there] = [freshRepository(), freshRepository()];
    const subject = { mediaType: mediaTypes.image, digest: absentDigest(), size: 7 };
    await pushImage(registry, here, { fields: { subject } });
    expect(listed(await referrersOf(there, subject.digest))).toEqual([]);
  });

  test("attaching concurrently to one subject loses none", async () => {
    const repository = freshRepository();
    const subject = { mediaType: mediaTypes.image, digest: absentDigest(), size: 7 };
    const pushed = await Promise.all(
      Array.from({ length: 20 }, () =>
        pushIndex(registry, repository, { fields: { subject, annotations: { id: randomText() } } }),
      ),
    );
    const found = digestsIn(await referrersOf(repository, subject.digest));
    expect(found.toSorted()).toEqual(pushed.map(({ digest }) => digest).toSorted());
  });

  describe("a fallback index sha256-<hex> that a client pushed", () => {
    test("is stored as an ordinary tag, and its entries appear in the API", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository, { tag: "v1" })).descriptor;
      const old = await pushImage(registry, repository, { fields: { annotations: { id: "pushed without subject" } } });
      const entry = { ...old.descriptor, artifactType: "application/x.sbom", annotations: { a: "b" } };
      const tag = fallbackTag(subject.digest);
      const fallback = await pushIndex(registry, repository, { tag, manifests: [entry], fields: {} });
      const pulled = await registry.send("GET", `/v2/${repository}/manifests/${tag}`);
      expect(pulled.bytes.equals(fallback.bytes)).toBe(true);
      const tags = (await registry.send("GET", `/v2/${repository}/tags/list`)).json();
      expect(tags).toEqual({ name: repository, tags: [tag, "v1"] });
      expect(listed(await referrersOf(repository, subject.digest))).toContainEqual(entry);
      const filtered = await referrersOf(repository, subject.digest, "?artifactType=application/x.sbom");
      expect(digestsIn(filtered)).toEqual([old.digest]);
    });

    test("repeats no entry that is a referrer by its own subject", async () => {
      const repository = freshRepository();
      const subject = (await pushImage(registry, repository, { tag: "v1" })).descriptor;
      const referrer = await pushImage(registry, repository, { fields: { subject, artifactType: "a/b" } });
      const entry = { ...referrer.descriptor, artifactType: "a/b" };
      await pushIndex(registry, repository, { tag: fallbackTag(subject.digest), manifests: [entry], fields: {} });
      expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([referrer.digest]);
    });

    test("is followed when it moves and when it goes", async () => {
      const repository = freshRepository();
      const subject = { mediaType: mediaTypes.image, digest: absentDigest(), size: 7 };
      const tag = fallbackTag(subject.digest);
      const [first, second] = [await pushIndex(registry, repository), await pushIndex(registry, repository)];
      await pushIndex(registry, repository, { tag, manifests: [first.descriptor] });
      expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([first.digest]);
      await pushIndex(registry, repository, { tag, manifests: [first.descriptor, second.descriptor] });
      expect(digestsIn(await referrersOf(repository, subject.digest)).toSorted()).toEqual(
        [first.digest, second.digest].toSorted(),
      );
      expect((await registry.send("DELETE", `/v2/${repository}/manifests/${tag}`)).status).toBe(202);
      expect(digestsIn(await referrersOf(repository, subject.digest))).toEqual([]);
    });
  });
});
