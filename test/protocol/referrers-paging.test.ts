import { expect, test } from "bun:test";
import { absentDigest, type Descriptor, mediaTypes, pushIndex } from "./content.ts";
import { allPages, type Answer, freshRepository, nextPage, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const pageLimitBytes = 4 * 1024 * 1024;

const digestsIn = (answer: Answer): readonly string[] =>
  (answer.json() as { manifests: readonly Descriptor[] }).manifests.map(({ digest }) => digest);

const newSubject = (): Descriptor => ({ mediaType: mediaTypes.image, digest: absentDigest(), size: 7 });

/** A referrer whose descriptor is about as large as asked. */
const pushReferrer = async (repository: string, subject: Descriptor, sizeBytes: number): Promise<string> => {
  const annotations = { id: absentDigest(), pad: "x".repeat(sizeBytes) };
  return (await pushIndex(registry, repository, { fields: { subject, artifactType: "a/b", annotations } })).digest;
};

test("one page holds up to about 4 MiB, and no Link is sent with it", async () => {
  const repository = freshRepository();
  const subject = newSubject();
  const pushed = [];
  for (let referrer = 0; referrer < 3; referrer += 1) pushed.push(await pushReferrer(repository, subject, 1_200_000));
  const answer = await registry.send("GET", `/v2/${repository}/referrers/${subject.digest}`);
  expect(digestsIn(answer).toSorted()).toEqual(pushed.toSorted());
  expect(answer.header("link")).toBeUndefined();
});

test("many small referrers are one page", async () => {
  const repository = freshRepository();
  const subject = newSubject();
  const pushed = await Promise.all(Array.from({ length: 300 }, () => pushReferrer(repository, subject, 10)));
  const answer = await registry.send("GET", `/v2/${repository}/referrers/${subject.digest}`);
  expect(digestsIn(answer).toSorted()).toEqual(pushed.toSorted());
  expect(answer.header("link")).toBeUndefined();
});

test("beyond 4 MiB there is a Link, and following it gives every referrer once, filtered or not", async () => {
  const repository = freshRepository();
  const subject = newSubject();
  const pushed = [];
  for (let referrer = 0; referrer < 7; referrer += 1) pushed.push(await pushReferrer(repository, subject, 1_500_000));
  for (const query of ["", "?artifactType=a/b"]) {
    const pages = await allPages(registry, `/v2/${repository}/referrers/${subject.digest}${query}`);
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.flatMap(digestsIn).toSorted()).toEqual(pushed.toSorted());
    for (const page of pages) {
      expect(page.bytes.length).toBeLessThanOrEqual(pageLimitBytes);
      expect(page.header("content-type")).toBe(mediaTypes.index);
      expect(page.header("oci-filters-applied")).toBe(query === "" ? undefined : "artifactType");
    }
  }
}, 60_000);

test("paging while referrers are added neither repeats nor loses old ones", async () => {
  const repository = freshRepository();
  const subject = newSubject();
  const old = [];
  for (let referrer = 0; referrer < 6; referrer += 1) old.push(await pushReferrer(repository, subject, 1_500_000));
  const found: string[] = [];
  const first = await registry.send("GET", `/v2/${repository}/referrers/${subject.digest}`);
  found.push(...digestsIn(first));
  for (let next = nextPage(first); next !== undefined;) {
    await pushReferrer(repository, subject, 1000);
    const page = await registry.send("GET", next);
    found.push(...digestsIn(page));
    next = nextPage(page);
  }
  expect(new Set(found).size).toBe(found.length);
  for (const digest of old) expect(found).toContain(digest);
}, 60_000);

test("a referrer as large as a manifest may be is listed", async () => {
  const repository = freshRepository();
  const subject = newSubject();
  const small = await pushReferrer(repository, subject, 10);
  const large = await pushReferrer(repository, subject, pageLimitBytes - 1000);
  const pages = await allPages(registry, `/v2/${repository}/referrers/${subject.digest}`);
  expect(pages.flatMap(digestsIn).toSorted()).toEqual([small, large].toSorted());
}, 60_000);

test("n bounds the page or is ignored, and nothing gets lost by it", async () => {
  const repository = freshRepository();
  const subject = newSubject();
  const pushed = await Promise.all(Array.from({ length: 5 }, () => pushReferrer(repository, subject, 10)));
  for (const n of ["2", "5", "1000", "2147483647"]) {
    const pages = await allPages(registry, `/v2/${repository}/referrers/${subject.digest}?n=${n}`);
    expect(pages.flatMap(digestsIn).toSorted()).toEqual(pushed.toSorted());
  }
  for (const n of ["-1", "abc", "NaN", "1.5"]) {
    const answer = await registry.send("GET", `/v2/${repository}/referrers/${subject.digest}?n=${n}`);
    expect([200, 400]).toContain(answer.status);
  }
});
