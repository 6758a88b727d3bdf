import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { absentDigest, type Algorithm, digestOf, inPieces, pushBlob, startUpload } from "./content.ts";
import { type Answer, expectProblem, freshRepository, locationOf, useRegistry, withQuery } from "./registry-client.ts";

const registry = useRegistry();

const octets = { "Content-Type": "application/octet-stream" };

async function expectPushed(
  answer: Answer,
  push: { repository: string; bytes: Buffer; digest: string },
): Promise<void> {
  expect(answer.status).toBe(201);
  expect(answer.header("docker-content-digest")).toBe(push.digest);
  expect(locationOf(answer)).toBe(`/v2/${push.repository}/blobs/${push.digest}`);
  const pulled = await registry.send("GET", locationOf(answer));
  expect(pulled.status).toBe(200);
  expect(pulled.header("docker-content-digest")).toBe(push.digest);
  expect(pulled.bytes.equals(push.bytes)).toBe(true);
}

async function expectAbsent(repository: string, ...digests: readonly string[]): Promise<void> {
  for (const digest of digests) {
    expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(404);
  }
}

/** What a chunk with its place in the whole sends along. */
const chunkAt = (start: number, body: Uint8Array) => ({
  headers: { ...octets, "Content-Range": `${String(start)}-${String(start + body.length - 1)}` },
  body,
});

type PushStyle = (repository: string, bytes: Buffer, digest: string) => Promise<Answer>;

const styles: Readonly<Record<string, PushStyle>> = {
  "POST with the body": (repository, bytes, digest) =>
    registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { headers: octets, body: bytes }),
  "POST with the body, streamed": (repository, bytes, digest) =>
    registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: inPieces(bytes) }),
  "POST, then PUT of the whole": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    return registry.send("PUT", withQuery(location, `digest=${digest}`), { headers: octets, body: bytes });
  },
  "POST, then a streamed PUT of the whole": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    return registry.send("PUT", withQuery(location, `digest=${digest}`), { body: inPieces(bytes) });
  },
  "a streamed PATCH, then an empty PUT": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, { headers: octets, body: inPieces(bytes) });
    expect(patch.status).toBe(202);
    return registry.send("PUT", withQuery(locationOf(patch), `digest=${digest}`), { body: "" });
  },
  "a PATCH of known length without a range, then an empty PUT": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, { headers: octets, body: bytes });
    expect(patch.status).toBe(202);
    return registry.send("PUT", withQuery(locationOf(patch), `digest=${digest}`), { body: "" });
  },
  "one chunk, then an empty PUT": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, chunkAt(0, bytes));
    expect(patch.status).toBe(202);
    return registry.send("PUT", withQuery(locationOf(patch), `digest=${digest}`), { body: "" });
  },
  "chunks, then an empty PUT": async (repository, bytes, digest) => {
    let location = await startUpload(registry, repository);
    for (const [start, end] of [
      [0, 10],
      [10, 500],
      [500, bytes.length],
    ] as const) {
      const patch = await registry.send("PATCH", location, chunkAt(start, bytes.subarray(start, end)));
      expect([patch.status, patch.header("range")]).toEqual([202, `0-${String(end - 1)}`]);
      location = locationOf(patch);
    }
    return registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "" });
  },
  "chunks, and the last one in PUT with its range": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, chunkAt(0, bytes.subarray(0, 500)));
    const next = withQuery(locationOf(patch), `digest=${digest}`);
    return registry.send("PUT", next, chunkAt(500, bytes.subarray(500)));
  },
  "chunks, and the last one in PUT without a range": async (repository, bytes, digest) => {
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, chunkAt(0, bytes.subarray(0, 500)));
    return registry.send("PUT", withQuery(locationOf(patch), `digest=${digest}`), { body: bytes.subarray(500) });
  },
};

for (const algorithm of ["sha256", "sha512"] as const satisfies readonly Algorithm[]) {
  describe(`${algorithm}: every push style answers 201 with the pushed digest, and Location has the bytes`, () => {
    for (const [name, push] of Object.entries(styles)) {
      test(name, async () => {
        const repository = freshRepository();
        const bytes = randomBytes(1000);
        const digest = digestOf(bytes, algorithm);
        await expectPushed(await push(repository, bytes, digest), { repository, bytes, digest });
      });
    }
  });

  describe(`${algorithm}: a wrong digest is 400 DIGEST_INVALID and nothing becomes visible`, () => {
    for (const [name, push] of Object.entries(styles)) {
      test(name, async () => {
        const repository = freshRepository();
        const bytes = randomBytes(1000);
        const claimed = digestOf(randomBytes(8), algorithm);
        expectProblem(await push(repository, bytes, claimed), 400, "DIGEST_INVALID");
        await expectAbsent(repository, claimed, digestOf(bytes), digestOf(bytes, "sha512"));
      });
    }
  });

  test(`${algorithm}: an empty blob in every style that may be empty`, async () => {
    const bytes = Buffer.alloc(0);
    const digest = digestOf(bytes, algorithm);
    for (const name of ["POST, then PUT of the whole", "a streamed PATCH, then an empty PUT"]) {
      const repository = freshRepository();
      const answer = await styles[name]?.(repository, bytes, digest);
      if (answer === undefined) throw new Error(`no style ${name}`);
      await expectPushed(answer, { repository, bytes, digest });
    }
  });
}

test("an unsupported algorithm (md5:) is 400 DIGEST_INVALID", async () => {
  const repository = freshRepository();
  const digest = `md5:${"a".repeat(32)}`;
  const location = await startUpload(registry, repository);
  const put = await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "x" });
  const post = await registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: "x" });
  expectProblem(put, 400, "DIGEST_INVALID");
  expectProblem(post, 400, "DIGEST_INVALID");
});

test("a PUT without a digest is 400 DIGEST_INVALID, and the session goes on", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(30);
  const location = await startUpload(registry, repository);
  await registry.send("PATCH", location, { body: bytes });
  expectProblem(await registry.send("PUT", location, { body: "" }), 400, "DIGEST_INVALID");
  const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), { body: "" });
  expect(put.status).toBe(201);
});

test("a digest with a percent-encoded colon is the digest", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(30);
  const digest = digestOf(bytes);
  const location = await startUpload(registry, repository);
  const encoded = encodeURIComponent(digest);
  const answer = await registry.send("PUT", withQuery(location, `digest=${encoded}`), { body: bytes });
  await expectPushed(answer, { repository, bytes, digest });
});

describe("?digest-algorithm", () => {
  test("=sha512 is 202, and then the PUT by sha512 is 201", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(600);
    const digest = digestOf(bytes, "sha512");
    const location = await startUpload(registry, repository, "?digest-algorithm=sha512");
    const patch = await registry.send("PATCH", location, { body: inPieces(bytes) });
    expect(patch.status).toBe(202);
    const put = await registry.send("PUT", withQuery(locationOf(patch), `digest=${digest}`), { body: "" });
    await expectPushed(put, { repository, bytes, digest });
  });

  test("=sha256 is 202", async () => {
    await startUpload(registry, freshRepository(), "?digest-algorithm=sha256");
  });

  test("=md5, or nonsense, is 400", async () => {
    for (const algorithm of ["md5", "sha1", "SHA512", "", "..%2f"]) {
      const target = `/v2/${freshRepository()}/blobs/uploads/?digest-algorithm=${algorithm}`;
      expectProblem(await registry.send("POST", target, { body: "" }), 400, "DIGEST_INVALID", "UNSUPPORTED");
    }
  });
});

test("any or no Content-Type on POST, PATCH and PUT is accepted", async () => {
  const repository = freshRepository();
  for (const type of [undefined, "application/json", "text/plain; charset=utf-8", "nonsense", "application/x-tar"]) {
    const headers: Record<string, string> = type === undefined ? {} : { "Content-Type": type };
    const bytes = randomBytes(64);
    const post = await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { headers, body: "" });
    expect(post.status).toBe(202);
    const patch = await registry.send("PATCH", locationOf(post), { headers, body: bytes });
    expect(patch.status).toBe(202);
    const target = withQuery(locationOf(patch), `digest=${digestOf(bytes)}`);
    expect((await registry.send("PUT", target, { headers, body: "" })).status).toBe(201);
  }
});

test("pushing a blob that is there already is 201 again, and changes nothing", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(1000);
  const digest = await pushBlob(registry, repository, bytes);
  for (const push of Object.values(styles)) {
    await expectPushed(await push(repository, bytes.subarray(), digest), { repository, bytes, digest });
  }
});

test("a retry of a finished PUT is 404 BLOB_UPLOAD_UNKNOWN, and HEAD finds the blob", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(500);
  const digest = digestOf(bytes);
  const target = withQuery(await startUpload(registry, repository), `digest=${digest}`);
  expect((await registry.send("PUT", target, { body: bytes })).status).toBe(201);
  expectProblem(await registry.send("PUT", target, { body: bytes }), 404, "BLOB_UPLOAD_UNKNOWN");
  expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(200);
});

test("an upload of several megabytes in uneven pieces keeps every byte", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(9_000_001);
  const pieces = [1, 65_535, 3, 4_000_000].reduce<Buffer[]>((cut, length) => {
    const start = cut.reduce((sum, piece) => sum + piece.length, 0);
    return [...cut, bytes.subarray(start, start + length)];
  }, []);
  pieces.push(bytes.subarray(pieces.reduce((sum, piece) => sum + piece.length, 0)));
  const location = await startUpload(registry, repository);
  const patch = await registry.send("PATCH", location, { body: inPieces(...pieces) });
  expect(patch.header("range")).toBe("0-9000000");
  const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), { body: "" });
  await expectPushed(put, { repository, bytes, digest: digestOf(bytes) });
});

test("a missing blob stays missing after a wrong push of it", async () => {
  const repository = freshRepository();
  const digest = absentDigest();
  const target = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
  expectProblem(await registry.send("POST", target, { body: "other" }), 400, "DIGEST_INVALID");
  await expectAbsent(repository, digest, digestOf("other"));
});
