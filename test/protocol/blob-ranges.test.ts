import { beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { adminBasic } from "./bearer.ts";
import { absentDigest, digestOf, pushBlob } from "./content.ts";
import { type Answer, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const size = 2048;
const bytes = randomBytes(size);
const repository = freshRepository();
const path = `/v2/${repository}/blobs/${digestOf(bytes)}`;

beforeAll(async () => {
  await pushBlob(registry, repository, bytes);
});

const getRange = (range: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  registry.send("GET", path, { headers: { Range: range, ...headers } });

function expectSlice(answer: Answer, first: number, last: number): void {
  expect(answer.status).toBe(206);
  expect(answer.header("content-range")).toBe(`bytes ${String(first)}-${String(last)}/${String(size)}`);
  expect(answer.header("content-length")).toBe(String(last - first + 1));
  expect(answer.header("docker-content-digest")).toBe(digestOf(bytes));
  expect(answer.bytes.equals(bytes.subarray(first, last + 1))).toBe(true);
}

function expectWhole(answer: Answer): void {
  expect(answer.status).toBe(200);
  expect(answer.header("content-range")).toBeUndefined();
  expect(answer.header("content-length")).toBe(String(size));
  expect(answer.bytes.equals(bytes)).toBe(true);
}

describe("one range is 206 with the right bytes, Content-Range and Content-Length", () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ["bytes=500-1499", 500, 1499],
    ["bytes=0-0", 0, 0],
    ["bytes=2047-2047", 2047, 2047],
    ["bytes=0-2047", 0, 2047],
    ["bytes=500-", 500, 2047],
    ["bytes=0-", 0, 2047],
    ["bytes=-500", 1548, 2047],
    ["bytes=-1", 2047, 2047],
    // An end past the last byte, and a suffix longer than the blob, are cut.
    ["bytes=2000-5000", 2000, 2047],
    ["bytes=-5000", 0, 2047],
    // The largest number that clients written in Go have for "to the end".
    ["bytes=0-9223372036854775807", 0, 2047],
    ["bytes=2000-99999999999999999999999", 2000, 2047],
    ["BYTES=1-2", 1, 2],
    ["bytes=00001-0002", 1, 2],
  ];
  for (const [range, first, last] of cases) {
    test(range, async () => {
      expectSlice(await getRange(range), first, last);
    });
  }
});

describe("a range that cannot be satisfied is 416 with Content-Range: bytes */size", () => {
  const ranges = ["bytes=2048-", "bytes=5000-10000", "bytes=500-0", "bytes=-0", "bytes=99999999999999999999999-"];
  for (const range of ranges) {
    test(range, async () => {
      const answer = await getRange(range);
      expect(answer.status).toBe(416);
      expect(answer.header("content-range")).toBe(`bytes */${String(size)}`);
      expect(answer.header("content-type")).toStartWith("application/json");
      expect(answer.json()).toHaveProperty("errors");
    });
  }

  test("any range of an empty blob", async () => {
    const digest = await pushBlob(registry, repository, Buffer.alloc(0));
    for (const range of ["bytes=0-", "bytes=0-0", "bytes=1-"]) {
      const answer = await registry.send("GET", `/v2/${repository}/blobs/${digest}`, { headers: { Range: range } });
      expect([answer.status, answer.header("content-range")]).toEqual([416, "bytes */0"]);
    }
  });
});

describe("an unknown unit is 200 with the whole blob", () => {
  for (const range of ["items=0-1", "seconds=1-2", "x=0-1,5-6"]) {
    test(range, async () => {
      expectWhole(await getRange(range));
    });
  }
});

describe("a malformed range is never 206 nor a server error", () => {
  for (const range of [
    "bytes=",
    "bytes=a-b",
    "bytes=-",
    "bytes 0-1",
    "bytes=1-2-3",
    "bytes=0x1-2",
    "bytes=1.5-2",
    "0-1",
    "=",
  ]) {
    test(range, async () => {
      const answer = await getRange(range);
      expect([200, 400, 416]).toContain(answer.status);
    });
  }
});

describe("If-Range", () => {
  const digest = digestOf(bytes);

  test("with a validator that does not match is 200 with the whole blob", async () => {
    for (const validator of [`"${absentDigest()}"`, `W/"${digest}"`, "Wed, 21 Oct 2015 07:28:00 GMT"]) {
      const answer = await getRange("bytes=0-9", { "If-Range": validator });
      expect({ validator, status: answer.status }).toEqual({ validator, status: 200 });
      expect(answer.header("content-range")).toBeUndefined();
      expect(answer.bytes.equals(bytes)).toBe(true);
    }
  });

  test("with the ETag is 206", async () => {
    expectSlice(await getRange("bytes=0-9", { "If-Range": `"${digest}"` }), 0, 9);
  });
});

/** The parts of a multipart/byteranges body: what each says it is, and its bytes. */
function partsOf(
  answer: Pick<Answer, "bytes" | "header">,
): readonly { readonly contentRange: string; readonly bytes: Buffer }[] {
  const [, boundary = ""] =
    /^multipart\/byteranges; ?boundary="?([^";]+)"?$/.exec(answer.header("content-type") ?? "") ?? [];
  expect(boundary).not.toBe("");
  const text = answer.bytes.toString("latin1");
  expect(text.trimEnd()).toEndWith(`--${boundary}--`);
  return text
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const headersEnd = part.indexOf("\r\n\r\n");
      const [, contentRange = ""] = /^content-range: (.*)$/im.exec(part.slice(0, headersEnd)) ?? [];
      return { contentRange: contentRange.trim(), bytes: Buffer.from(part.slice(headersEnd + 4, -2), "latin1") };
    });
}

describe("several ranges", () => {
  test("are 206 multipart/byteranges with every part, never 206 with the first alone", async () => {
    const answer = await getRange("bytes=0-1,5-6, 2000-");
    expect(answer.status).toBe(206);
    expect(answer.header("content-range")).toBeUndefined();
    const parts = partsOf(answer);
    expect(parts.map((part) => part.contentRange)).toEqual([
      "bytes 0-1/2048",
      "bytes 5-6/2048",
      "bytes 2000-2047/2048",
    ]);
    expect(parts[0]?.bytes.equals(bytes.subarray(0, 2))).toBe(true);
    expect(parts[1]?.bytes.equals(bytes.subarray(5, 7))).toBe(true);
    expect(parts[2]?.bytes.equals(bytes.subarray(2000))).toBe(true);
  });

  test("of megabytes are whole to a reader who takes his time", async () => {
    const large = randomBytes(24 << 20);
    const into = freshRepository();
    const digest = await pushBlob(registry, into, large);
    const cut = large.length / 2;
    const answer = await fetch(`${registry.server().url}/v2/${into}/blobs/${digest}`, {
      headers: { authorization: adminBasic(registry), range: `bytes=0-${String(cut - 1)},${String(cut + 1)}-` },
    });
    const taken: Uint8Array[] = [];
    for await (const chunk of answer.body ?? []) {
      taken.push(chunk.slice());
      if (taken.length % 16 === 0) await Bun.sleep(5);
    }
    const [first, second, ...more] = partsOf({
      bytes: Buffer.concat(taken),
      header: (name) => answer.headers.get(name) ?? undefined,
    });
    expect(more).toEqual([]);
    expect(first?.bytes.equals(large.subarray(0, cut))).toBe(true);
    expect(second?.bytes.equals(large.subarray(cut + 1))).toBe(true);
  });

  test("of which one cannot be satisfied answer the others", async () => {
    const answer = await getRange("bytes=0-1,5000-6000");
    if (answer.header("content-range") === undefined) {
      expect(answer.status).toBe(206);
      expect(partsOf(answer).map((part) => part.contentRange)).toEqual(["bytes 0-1/2048"]);
    } else {
      expectSlice(answer, 0, 1);
    }
  });

  test("of which none can be satisfied are 416", async () => {
    const answer = await getRange("bytes=3000-3001,5000-6000");
    expect([answer.status, answer.header("content-range")]).toEqual([416, "bytes */2048"]);
  });

  test("in their thousands are not amplified", async () => {
    for (const range of ["0-", "-2048", "0-2047", "0-0"]) {
      const answer = await getRange(`bytes=${Array.from({ length: 1000 }, () => range).join(",")}`);
      expect([200, 400, 416]).toContain(answer.status);
      expect(answer.bytes.length).toBeLessThanOrEqual(size);
    }
  });

  test("that overlap many times over never answer much more than the blob", async () => {
    const answer = await getRange(`bytes=${Array.from({ length: 60 }, () => "0-").join(",")}`);
    expect([200, 206, 400, 416]).toContain(answer.status);
    expect(answer.bytes.length).toBeLessThanOrEqual(2 * size);
  });
});

test("HEAD with Range tells of the whole blob, or what GET would answer", async () => {
  const answer = await registry.send("HEAD", path, { headers: { Range: "bytes=0-1" } });
  const told = [answer.status, answer.header("content-length"), answer.header("content-range")];
  const [whole, part] = [
    [200, String(size), undefined],
    [206, "2", `bytes 0-1/${String(size)}`],
  ];
  expect([whole, part]).toContainEqual(told);
});

test("If-None-Match comes before Range", async () => {
  const answer = await getRange("bytes=0-1", { "If-None-Match": `"${digestOf(bytes)}"` });
  expect(answer.status).toBe(304);
});
