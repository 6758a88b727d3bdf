import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bytesOf, manifestOf, partOf, sha256, types } from "./content.ts";
import { errorCodeOf, finishAt, needed, openWire, type Reply, seedBlob, tokenByGet, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const octets = { "content-type": "application/octet-stream" };
const blob = bytesOf(1, 1_000_000);

interface Chunk {
  readonly offset: number;
  /** Until the end where it is absent; only the last chunk may be so. */
  readonly length?: number;
}

/**
 * How containers/image turns an answer into the chunks it asked for: 200 is cut by itself, multipart must have a part
 * for every chunk in their order, a plain 206 is taken for the one chunk, 400 makes it fetch the blob whole.
 */
function chunksOf(reply: Reply, wanted: readonly Chunk[]): readonly Buffer[] | "whole" {
  if (reply.status === 400) return "whole";
  if (reply.status === 200) {
    return wanted.map(({ offset, length }) =>
      reply.body.subarray(offset, length === undefined ? undefined : offset + length),
    );
  }
  expect(reply.status).toBe(206);
  const contentType = needed(reply, "content-type");
  if (!contentType.startsWith("multipart/")) {
    // With more than one chunk asked for, this one body would be written in place of all of them.
    expect(wanted).toHaveLength(1);
    return [reply.body];
  }
  const boundary = /^multipart\/byteranges; ?boundary="?([^"]+)"?$/.exec(contentType)?.[1] ?? "";
  expect(boundary).not.toBe("");
  const parts = splitMultipart(reply.body, boundary);
  expect(parts).toHaveLength(wanted.length);
  return parts;
}

function splitMultipart(body: Buffer, boundary: string): readonly Buffer[] {
  const parts: Buffer[] = [];
  const delimiter = Buffer.from(`--${boundary}`);
  let at = body.indexOf(delimiter);
  expect(at).toBeGreaterThanOrEqual(0);
  for (;;) {
    const after = at + delimiter.length;
    if (body.toString("latin1", after, after + 2) === "--") return parts;
    const start = body.indexOf("\r\n\r\n", after) + 4;
    const header = body.toString("latin1", after, start).toLowerCase();
    const [, first, last] = /content-range: bytes (\d+)-(\d+)\/\d+/.exec(header) ?? [];
    const end = start + Number(last) - Number(first) + 1;
    parts.push(body.subarray(start, end));
    at = body.indexOf(delimiter, end);
    if (at !== end + 2) throw new Error(`a part of ${header} does not end where its range says`);
  }
}

describe("containers/image 5.36 (podman 5, skopeo 1.20, CRI-O)", () => {
  let wire: Wire;
  let digest: string;

  beforeAll(async () => {
    const userAgent = "containers/5.36.2 (github.com/containers/image)";
    wire = await openWire({ userAgent, getToken: tokenByGet({ account: "admin" }) });
    digest = await seedBlob(wire, "team/app", blob);
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  const asksForChunks: readonly (readonly Chunk[])[] = [
    [{ offset: 999_000 }],
    [{ offset: 0, length: 10 }],
    [
      { offset: 100, length: 50 },
      { offset: 5000, length: 1 },
      { offset: 400_000, length: 100_000 },
    ],
    // Neighbours stay two chunks: a server that joined them would give one part too few.
    [
      { offset: 0, length: 100 },
      { offset: 100, length: 100 },
    ],
    [{ offset: 10, length: 10 }, { offset: 900_000 }],
    Array.from({ length: 200 }, (_, index) => ({ offset: index * 4000, length: 100 })),
  ];

  for (const wanted of asksForChunks) {
    test(`zstd:chunked: gets ${wanted.length} chunk(s) from ${wanted[0]?.offset} on, or a clear refusal`, async () => {
      const ranges = wanted.map(({ offset, length }) => `${offset}-${length === undefined ? "" : offset + length - 1}`);
      const headers = { range: `bytes=${ranges.join(",")}` };
      const reply = await wire.send({ method: "GET", path: `/v2/team/app/blobs/${digest}`, headers });
      const chunks = chunksOf(reply, wanted);
      if (chunks === "whole") {
        expect(wanted.length).toBeGreaterThan(1);
        const whole = await wire.send({ method: "GET", path: `/v2/team/app/blobs/${digest}` });
        expect(sha256(whole.body)).toBe(digest);
        return;
      }
      wanted.forEach(({ offset, length }, index) => {
        const want = blob.subarray(offset, length === undefined ? undefined : offset + length);
        expect(chunks[index]?.equals(want)).toBe(true);
      });
    });
  }

  test("streams a layer whose length and digest it learns while sending", async () => {
    const pieces = [bytesOf(2, 70_000), bytesOf(3, 10), bytesOf(4, 33_000)];
    const streamed = sha256(Buffer.concat(pieces));
    const scopes = ["repository:team/stream:pull,push"];
    const opened = await wire.send({ method: "POST", path: "/v2/team/stream/blobs/uploads/", scopes });
    expect(opened.status).toBe(202);
    const path = new URL(needed(opened, "location"), wire.server.url).href;
    const patched = await wire.send({ method: "PATCH", path, headers: octets, body: pieces, scopes });
    expect(patched.status).toBe(202);
    const put = await wire.send({ method: "PUT", path: finishAt(patched, wire, streamed), headers: octets, scopes });
    expect(put.status).toBe(201);
    const head = await wire.send({ method: "HEAD", path: `/v2/team/stream/blobs/${streamed}` });
    expect(needed(head, "content-length")).toBe("103010");
  });

  test("looks for the blob in another repository, mounts it from there, and cancels what it did not want", async () => {
    const scopes = ["repository:other/app:pull,push", "repository:team/app:pull"];
    const missing = await wire.send({ method: "HEAD", path: `/v2/other/app/blobs/${digest}`, scopes });
    expect(missing.status).toBe(404);
    const there = await wire.send({ method: "HEAD", path: `/v2/team/app/blobs/${digest}`, scopes });
    expect(there.status).toBe(200);
    expect(needed(there, "content-length")).toBe(String(blob.length));
    const mount = (wanted: string) => {
      const query = `from=${encodeURIComponent("team/app")}&mount=${encodeURIComponent(wanted)}`;
      return wire.send({ method: "POST", path: `/v2/other/app/blobs/uploads/?${query}`, scopes });
    };
    expect((await mount(digest)).status).toBe(201);

    const unwanted = await mount(sha256("never pushed"));
    expect(unwanted.status).toBe(202);
    const upload = new URL(needed(unwanted, "location"), wire.server.url).href;
    // Its token says push and pull: to end one's own upload must not need the right to delete.
    const cancelled = await wire.send({ method: "DELETE", path: upload, scopes });
    expect(cancelled.status).toBe(204);
    const gone = await wire.send({ method: "GET", path: upload, scopes });
    expect(gone.status).toBe(404);
    expect(errorCodeOf(gone)).toBe("BLOB_UPLOAD_UNKNOWN");
  });

  test("finds no signature tag, and lists tags page by page over the path and query of Link", async () => {
    const config = await seedBlob(wire, "team/tags", Buffer.from("{}"));
    const body = manifestOf({ mediaType: types.config, digest: config, size: 2 }, []);
    const headers = { "content-type": types.manifest };
    for (const tag of ["a", "b", "c", "d", "e"]) {
      const put = await wire.send({ method: "PUT", path: `/v2/team/tags/manifests/${tag}`, headers, body });
      expect(put.status).toBe(201);
    }
    const signature = `/v2/team/tags/manifests/${sha256(body).replace(":", "-")}.sig`;
    expect((await wire.send({ method: "GET", path: signature })).status).toBe(404);

    const seen: string[] = [];
    let path: string | undefined = "/v2/team/tags/tags/list?n=2";
    while (path !== undefined) {
      const page: Reply = await wire.send({ method: "GET", path });
      expect(page.status).toBe(200);
      seen.push(...(JSON.parse(page.body.toString()) as { readonly tags: readonly string[] }).tags);
      const link = /^<([^>]+)>; *rel="next"/.exec(page.headers.get("link") ?? "")?.[1];
      const next: URL | undefined = link === undefined ? undefined : new URL(link, wire.server.url);
      path = next === undefined ? undefined : `${next.pathname}${next.search}`;
    }
    expect(seen).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("reads a 404 with MANIFEST_UNKNOWN as absent, and a broken manifest as a type to convert", async () => {
    const absent = await wire.send({ method: "GET", path: "/v2/team/tags/manifests/no-such" });
    expect(absent.status).toBe(404);
    expect(errorCodeOf(absent)).toBe("MANIFEST_UNKNOWN");
    const body = manifestOf(partOf(types.config, bytesOf(9, 9)), []);
    const headers = { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" };
    const rejected = await wire.send({ method: "PUT", path: "/v2/team/tags/manifests/old", headers, body });
    expect(rejected.status).toBe(400);
    expect(errorCodeOf(rejected)).toBe("MANIFEST_INVALID");
  });

  test("reads empty Basic credentials as nobody", async () => {
    const headers = { authorization: "Basic Og==" };
    const ping = await wire.sendOnce({ method: "GET", path: "/v2/", headers });
    expect(ping.status).toBe(401);
    const hidden = await wire.sendOnce({ method: "GET", path: `/v2/team/app/blobs/${digest}`, headers });
    expect(hidden.status).toBe(401);
    const open = await seedBlob(wire, "library/app", bytesOf(8, 80));
    const shown = await wire.sendOnce({ method: "GET", path: `/v2/library/app/blobs/${open}`, headers });
    expect(shown.status).toBe(200);
  });
});
