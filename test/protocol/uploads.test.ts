import { describe, expect, test } from "bun:test";
import { randomBytes, randomUUID } from "node:crypto";
import { digestOf, inPieces, startUpload } from "./content.ts";
import { type Answer, expectProblem, freshRepository, locationOf, useRegistry, withQuery } from "./registry-client.ts";

const registry = useRegistry();

const chunk = (range: string, body: Uint8Array | string) => ({
  headers: { "Content-Type": "application/octet-stream", "Content-Range": range },
  body,
});

const status = (location: string): Promise<Answer> => registry.send("GET", location);

/** A session that holds the given bytes already. */
async function sessionWith(bytes: Uint8Array): Promise<{ repository: string; location: string }> {
  const repository = freshRepository();
  const answer = await registry.send("PATCH", await startUpload(registry, repository), { body: bytes });
  expect(answer.status).toBe(202);
  return { repository, location: locationOf(answer) };
}

describe("POST", () => {
  test("answers 202, a Location in the repository, Range 0-0 and a Docker-Upload-UUID", async () => {
    const repository = freshRepository();
    const answer = await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" });
    expect(answer.status).toBe(202);
    expect(locationOf(answer)).toStartWith(`/v2/${repository}/blobs/uploads/`);
    expect(answer.header("range")).toBe("0-0");
    expect(answer.header("docker-upload-uuid")).toMatch(/^[\w-]{16,}$/);
    expect(answer.header("content-length")).toBe("0");
    expect(answer.bytes).toHaveLength(0);
  });

  test("gives a new, unguessable id each time", async () => {
    const repository = freshRepository();
    const locations = await Promise.all(Array.from({ length: 20 }, () => startUpload(registry, repository)));
    const ids = locations.map((location) => location.slice(location.lastIndexOf("/") + 1));
    expect(new Set(ids).size).toBe(20);
    // No more than the fixed places of an UUID may be the same in all of them.
    const [first = "", ...others] = ids;
    const fixed = first.split("").filter((character, at) => others.every((id) => id[at] === character));
    expect(first.length - fixed.length).toBeGreaterThanOrEqual(16);
  });

  test("without a trailing slash and without a Content-Length works as well", async () => {
    const answer = await registry.send("POST", `/v2/${freshRepository()}/blobs/uploads`);
    expect([202, 307, 308, 404]).toContain(answer.status);
    expect((await registry.send("POST", `/v2/${freshRepository()}/blobs/uploads/`)).status).toBe(202);
  });
});

describe("streamed PATCH", () => {
  test("of n bytes, without Content-Range and Content-Length, is 202 with Range 0-(n-1) and Location", async () => {
    const repository = freshRepository();
    const location = await startUpload(registry, repository);
    const answer = await registry.send("PATCH", location, { body: inPieces(randomBytes(700), randomBytes(300)) });
    expect([answer.status, answer.header("range")]).toEqual([202, "0-999"]);
    expect(locationOf(answer)).toStartWith(`/v2/${repository}/blobs/uploads/`);
    expect(answer.header("docker-upload-uuid")).toMatch(/^[\w-]{16,}$/);
  });

  test("appends when it comes a second time, and its Range covers the whole upload", async () => {
    const [first, second] = [randomBytes(700), randomBytes(55)];
    const { repository, location } = await sessionWith(first);
    const answer = await registry.send("PATCH", location, { body: inPieces(second) });
    expect([answer.status, answer.header("range")]).toEqual([202, "0-754"]);
    const digest = digestOf(Buffer.concat([first, second]));
    const put = await registry.send("PUT", withQuery(locationOf(answer), `digest=${digest}`), { body: "" });
    expect(put.status).toBe(201);
    expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).header("content-length")).toBe("755");
  });

  test("of nothing is 202, and its Range is one that clients can read", async () => {
    const location = await startUpload(registry, freshRepository());
    const answer = await registry.send("PATCH", location, { body: inPieces() });
    expect([answer.status, answer.header("range")]).toEqual([202, "0-0"]);
  });

  test("of a single byte is not below any minimum", async () => {
    const location = await startUpload(registry, freshRepository());
    const answer = await registry.send("PATCH", location, { body: inPieces("x") });
    expect([answer.status, answer.header("range")]).toEqual([202, "0-0"]);
    expect((await status(location)).header("range")).toBe("0-0");
  });
});

describe("chunks", () => {
  test("in order are 202 each, and the end of Range is the end of the chunk", async () => {
    let location = await startUpload(registry, freshRepository());
    for (const [start, end] of [
      [0, 99],
      [100, 100],
      [101, 2000],
    ] as const) {
      const answer = await registry.send(
        "PATCH",
        location,
        chunk(`${String(start)}-${String(end)}`, randomBytes(end - start + 1)),
      );
      expect([answer.status, answer.header("range")]).toEqual([202, `0-${String(end)}`]);
      location = locationOf(answer);
    }
  });

  test("that start elsewhere are 416 with Location and Range, and leave the stored bytes unchanged", async () => {
    const bytes = randomBytes(100);
    const { location } = await sessionWith(bytes);
    for (const range of ["0-9", "99-108", "101-110", "110-119"]) {
      const answer = await registry.send("PATCH", location, chunk(range, randomBytes(10)));
      expectProblem(answer, 416, "BLOB_UPLOAD_INVALID");
      expect(answer.header("range")).toBe("0-99");
      expect(locationOf(answer)).toStartWith("/v2/");
      expect((await status(location)).header("range")).toBe("0-99");
    }
    const rest = randomBytes(20);
    expect((await registry.send("PATCH", location, chunk("100-119", rest))).status).toBe(202);
    const digest = digestOf(Buffer.concat([bytes, rest]));
    expect((await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "" })).status).toBe(201);
  });

  test("that start elsewhere in an empty session are 416 with Location and without Range", async () => {
    const location = await startUpload(registry, freshRepository());
    const answer = await registry.send("PATCH", location, chunk("10-19", randomBytes(10)));
    expectProblem(answer, 416, "BLOB_UPLOAD_INVALID");
    expect(locationOf(answer)).toStartWith("/v2/");
    expect(answer.header("range")).toBeUndefined();
    expect((await status(location)).header("range")).toBe("0--1");
  });

  test("replayed to the previous Location are 416, and that Location still tells the right Range", async () => {
    const first = await startUpload(registry, freshRepository());
    const body = randomBytes(10);
    expect((await registry.send("PATCH", first, chunk("0-9", body))).status).toBe(202);
    const replay = await registry.send("PATCH", first, chunk("0-9", body));
    expectProblem(replay, 416, "BLOB_UPLOAD_INVALID");
    const told = await status(first);
    expect([told.status, told.header("range")]).toEqual([204, "0-9"]);
    expect((await registry.send("PATCH", first, chunk("10-19", body))).status).toBe(202);
  });

  test("with a malformed Content-Range are 416 or 400, and nothing is appended", async () => {
    const location = await startUpload(registry, freshRepository());
    const malformed = [
      "bytes 0-9/10",
      "a-b",
      "9-0",
      "0-",
      "-9",
      "0",
      "0-9-10",
      "0x0-9",
      "+0-9",
      "0-9/10",
      "0.0-9",
      "-",
    ];
    for (const range of malformed) {
      const answer = await registry.send("PATCH", location, chunk(range, randomBytes(10)));
      expectProblem(answer, [400, 416], "BLOB_UPLOAD_INVALID", "SIZE_INVALID");
      expect({ range, held: (await status(location)).header("range") }).toEqual({ range, held: "0--1" });
    }
  });

  test("whose Content-Range is wider or narrower than Content-Length are refused, and nothing is appended", async () => {
    const location = await startUpload(registry, freshRepository());
    for (const range of ["0-8", "0-10", "0-99999999999999999999", "0-0"]) {
      const answer = await registry.send("PATCH", location, chunk(range, randomBytes(10)));
      expectProblem(answer, [400, 416], "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
      expect((await status(location)).header("range")).toBe("0--1");
    }
  });

  test("with a Content-Range and no length are held to the range", async () => {
    const location = await startUpload(registry, freshRepository());
    const headers = { "Content-Range": "0-9" };
    for (const length of [9, 11]) {
      const answer = await registry.send("PATCH", location, { headers, body: inPieces(randomBytes(length)) });
      expectProblem(answer, [400, 416], "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
      expect((await status(location)).header("range")).toBe("0--1");
    }
    const answer = await registry.send("PATCH", location, { headers, body: inPieces(randomBytes(10)) });
    expect([answer.status, answer.header("range")]).toEqual([202, "0-9"]);
  });
});

describe("the last chunk in PUT", () => {
  test("comes with its range and is 201", async () => {
    const [first, last] = [randomBytes(50), randomBytes(1)];
    const { location } = await sessionWith(first);
    const target = withQuery(location, `digest=${digestOf(Buffer.concat([first, last]))}`);
    expect((await registry.send("PUT", target, chunk("50-50", last))).status).toBe(201);
  });

  test("out of order is 416, the session is kept, and the right one is accepted then", async () => {
    const [first, last] = [randomBytes(50), randomBytes(30)];
    const { location } = await sessionWith(first);
    const target = withQuery(location, `digest=${digestOf(Buffer.concat([first, last]))}`);
    for (const range of ["0-29", "51-80"]) {
      const answer = await registry.send("PUT", target, chunk(range, last));
      expectProblem(answer, 416, "BLOB_UPLOAD_INVALID");
      expect([answer.header("range"), locationOf(answer).startsWith("/v2/")]).toEqual(["0-49", true]);
      // The status may be asked at the URL that was just refused, digest and all.
      const told = await status(target);
      expect([told.status, told.header("range")]).toEqual([204, "0-49"]);
    }
    expect((await registry.send("PUT", target, chunk("50-79", last))).status).toBe(201);
  });

  test("whose range and length differ is refused and the session kept", async () => {
    const [first, last] = [randomBytes(50), randomBytes(30)];
    const { location } = await sessionWith(first);
    const target = withQuery(location, `digest=${digestOf(Buffer.concat([first, last]))}`);
    const answer = await registry.send("PUT", target, chunk("50-80", last));
    expectProblem(answer, [400, 416], "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
    expect((await status(location)).header("range")).toBe("0-49");
    expect((await registry.send("PUT", target, chunk("50-79", last))).status).toBe(201);
  });
});

describe("GET on a live session", () => {
  test("is 204 with Location and Range to the last byte, also with a stray digest", async () => {
    const { location } = await sessionWith(randomBytes(77));
    for (const target of [location, withQuery(location, `digest=${digestOf("stray")}`)]) {
      const answer = await status(target);
      expect([answer.status, answer.header("range")]).toEqual([204, "0-76"]);
      expect(locationOf(answer)).toStartWith("/v2/");
      expect(answer.header("docker-upload-uuid")).toMatch(/^[\w-]{16,}$/);
    }
  });

  test("that is empty tells Range 0--1, so that the next byte is the first", async () => {
    const answer = await status(await startUpload(registry, freshRepository()));
    expect([answer.status, answer.header("range")]).toEqual([204, "0--1"]);
  });
});

describe("GET, PATCH, PUT and DELETE are 404 BLOB_UPLOAD_UNKNOWN", () => {
  const digest = digestOf("x");

  async function expectGone(location: string): Promise<void> {
    expectProblem(await registry.send("GET", location), 404, "BLOB_UPLOAD_UNKNOWN");
    expectProblem(await registry.send("PATCH", location, { body: "x" }), 404, "BLOB_UPLOAD_UNKNOWN");
    const put = await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "x" });
    expectProblem(put, 404, "BLOB_UPLOAD_UNKNOWN");
    expectProblem(await registry.send("DELETE", location), 404, "BLOB_UPLOAD_UNKNOWN");
  }

  test("on an unknown session", async () => {
    const repository = freshRepository();
    await startUpload(registry, repository);
    for (const id of [randomUUID(), "x", "0", "a".repeat(300), randomBytes(16).toString("hex")]) {
      await expectGone(`/v2/${repository}/blobs/uploads/${id}`);
    }
  });

  test("on a finished session", async () => {
    const location = await startUpload(registry, freshRepository());
    expect((await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "x" })).status).toBe(201);
    await expectGone(location);
  });

  test("on a cancelled session, and the cancelling itself is 204", async () => {
    const { location } = await sessionWith(randomBytes(10));
    const cancelled = await registry.send("DELETE", location);
    expect([cancelled.status, cancelled.bytes.length]).toEqual([204, 0]);
    await expectGone(location);
  });

  test("on a session whose bytes had the wrong digest", async () => {
    const { location } = await sessionWith(randomBytes(10));
    const put = await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "" });
    expectProblem(put, 400, "DIGEST_INVALID");
    await expectGone(location);
  });

  test("on a session of another repository, whose owner can still finish it", async () => {
    const bytes = randomBytes(10);
    const { repository, location } = await sessionWith(bytes);
    const other = freshRepository();
    await startUpload(registry, other);
    await expectGone(location.replace(repository, other));
    const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), { body: "" });
    expect(put.status).toBe(201);
  });
});

test("query parameters are honoured whatever their order relative to the added digest", async () => {
  const repository = freshRepository();
  for (const arrange of [
    (digest: string) => `_state=abc&digest=${digest}`,
    (digest: string) => `digest=${digest}&_state=abc`,
    (digest: string) => `a=1&digest=${encodeURIComponent(digest)}&b=`,
  ]) {
    const bytes = randomBytes(20);
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", withQuery(location, "_state=abc"), { body: bytes });
    expect(patch.status).toBe(202);
    const put = await registry.send("PUT", withQuery(locationOf(patch), arrange(digestOf(bytes))), { body: "" });
    expect(put.status).toBe(201);
  }
});

test("old Locations stay valid for the life of the session", async () => {
  const first = await startUpload(registry, freshRepository());
  const bytes = [randomBytes(5), randomBytes(6), randomBytes(7)];
  for (const piece of bytes) expect((await registry.send("PATCH", first, { body: piece })).status).toBe(202);
  const put = await registry.send("PUT", withQuery(first, `digest=${digestOf(Buffer.concat(bytes))}`), { body: "" });
  expect(put.status).toBe(201);
});

test("OCI-Chunk-Min-Length, if advertised, is not enforced on the last chunk nor on streamed uploads", async () => {
  const repository = freshRepository();
  const post = await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" });
  const minimum = Number(post.header("oci-chunk-min-length") ?? "1");
  expect(minimum).toBeGreaterThan(0);
  const first = randomBytes(minimum);
  const end = first.length - 1;
  expect((await registry.send("PATCH", locationOf(post), chunk(`0-${String(end)}`, first))).status).toBe(202);
  const last = Buffer.from("x");
  const range = `${String(end + 1)}-${String(end + 1)}`;
  const patch = await registry.send("PATCH", locationOf(post), chunk(range, last));
  expect(patch.status).toBe(202);
  const target = withQuery(locationOf(patch), `digest=${digestOf(Buffer.concat([first, last]))}`);
  expect((await registry.send("PUT", target, { body: "" })).status).toBe(201);
});
