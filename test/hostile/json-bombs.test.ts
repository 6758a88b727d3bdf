import { beforeAll, expect, test } from "bun:test";
import { digestOf, jsonBytes, mediaTypes, pushBlob } from "../protocol/content.ts";
import { type Answer, expectProblem, freshRepository, useRegistry } from "../protocol/registry-client.ts";
import { missingProcessTable, processListeningOn, processorMs, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { until } from "../support/workers.ts";

const registry = useRegistry();
const repository = freshRepository();
const mostBytes = 4 << 20;
const configBytes = jsonBytes({ architecture: "amd64", os: "linux" });
const config = { mediaType: mediaTypes.config, digest: digestOf(configBytes), size: configBytes.length };
beforeAll(() => pushBlob(registry, repository, configBytes));

/** As often as fits between the two ends, within what a manifest may have. */
function filled(start: string, piece: (at: number) => string, end: string): string {
  const pieces: string[] = [];
  let left = mostBytes - start.length - end.length;
  for (let at = 0; ; at += 1) {
    const next = piece(at);
    left -= next.length;
    if (left < 0) break;
    pieces.push(next);
  }
  return `${start}${pieces.join("")}${end}`;
}

const nested = (open: string, close: string): string => {
  const depth = Math.floor((mostBytes - 100) / (open.length + close.length));
  return `{"schemaVersion":2,"manifests":[],"x":${open.repeat(depth)}0${close.repeat(depth)}}`;
};
const inIndex = (more: string): string => `{"schemaVersion":2,"manifests":[]${more}`;
const image = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [] });
const layers = (piece: (at: number) => string): string => filled(image.slice(0, -2), piece, "0]}");

/** What is no manifest, at the size that a manifest may have. */
const refused: Readonly<Record<string, () => string>> = {
  "lists in lists": () => nested("[", "]"),
  "objects in objects": () => nested('{"a":', "}"),
  "lists that never end": () => filled(inIndex(',"x":'), () => "[", ""),
  "an object key that never ends": () => filled("{", () => '\\\\\\"', ""),
  "nothing but quotes": () => filled("", () => '"', ""),
  "nothing but spaces": () => filled("", () => " ", ""),
  "a number of four million digits as schemaVersion": () => filled('{"schemaVersion":', () => "9", ',"manifests":[]}'),
  "a lone surrogate behind a million escapes": () =>
    filled(inIndex(',"annotations":{"a":"'), () => "\\u0041", '\\ud800"}}'),
  "a layer that is an empty object, a million times": () => layers(() => "{},"),
  "a layer that is a number, two million times": () => layers(() => "0,"),
  "layers whose sizes are above all numbers": () =>
    layers((at) => `{"mediaType":"a/b","size":9e${String(at + 16)},"digest":"${config.digest}"},`),
  "a subject of four megabytes": () => filled(inIndex(',"subject":"'), () => "s", '"}'),
  "a media type of four megabytes": () => filled(inIndex(',"artifactType":"a/'), () => "b", '"}'),
  "a digest of four megabytes": () =>
    filled('{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1,"digest":"sha256:', () => "a", '"}]}'),
  "annotations that are no text, by the hundred thousand": () =>
    filled(inIndex(',"annotations":{'), (at) => `"${String(at)}":{},`, '"a":"b"}}'),
  "half a million keys": () => filled("{", (at) => `"${String(at)}":0,`, '"schemaVersion":2,"manifests":[]}'),
  "one key, half a million times": () => filled("{", () => '"a":0,', '"schemaVersion":2,"manifests":[]}'),
  "keys that differ from known ones in their case alone": () =>
    filled("{", (at) => `"MANIFESTS${String(at)}":0,`, '"Manifests":[],"schemaVersion":2,"manifests":[]}'),
};

const few = 100_000;
const times = (piece: (at: number) => string): string => Array.from({ length: few }, (_, at) => piece(at)).join("");

/** What is odd, and a manifest all the same: as much of it as is taken. */
const taken: Readonly<Record<string, () => string>> = {
  "one key, again and again": () => `{${times(() => '"a":0,')}"schemaVersion":2,"manifests":[]}`,
  "very many keys": () => `{${times((at) => `"k${String(at)}":0,`)}"schemaVersion":2,"manifests":[]}`,
  "keys like those of a list": () =>
    `{${times((at) => `"${String(at * 42_949)}":0,`)}"schemaVersion":2,"manifests":[]}`,
  "numbers of all sizes": () => `${inIndex(',"x":[')}${times((at) => `1e${String(at % 999)},`)}0]}`,
  "very many annotations": () => `${inIndex(',"annotations":{')}${times((at) => `"${String(at)}":"",`)}"a":"b"}}`,
};

const put = (body: string): Promise<Answer> =>
  registry.send("PUT", `/v2/${repository}/manifests/bomb`, {
    headers: { "Content-Type": body.startsWith(image.slice(0, -2)) ? mediaTypes.image : mediaTypes.index },
    body,
  });

/** What a push costs the server, the lesser of two; of its processor, since the machine may have other work. */
async function cost(pid: string, body: string): Promise<{ readonly answer: Answer; readonly milliseconds: number }> {
  const rounds: number[] = [];
  let answer = await put(body);
  for (let round = 0; round < 2; round += 1) {
    const before = await processorMs(pid);
    answer = await put(body);
    rounds.push((await processorMs(pid)) - before);
  }
  return { answer, milliseconds: Math.min(...rounds) };
}

const mostMs = 200;

requirement("of the largest manifests", missingProcessTable, () => {
  for (const [name, make] of Object.entries(refused)) {
    test(`${name}: refused, within 200 ms`, async () => {
      const body = make();
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(mostBytes);
      const { answer, milliseconds } = await cost(await processListeningOn(registry.server().host), body);
      expectProblem(answer, 400, "MANIFEST_INVALID", "DIGEST_INVALID");
      // A refusal repeats little of what it refuses.
      expect(answer.bytes.length).toBeLessThan(2000);
      expect(milliseconds).toBeLessThan(mostMs);
    });
  }

  for (const [name, make] of Object.entries(taken)) {
    test(`${name}: taken, within 200 ms`, async () => {
      const { answer, milliseconds } = await cost(await processListeningOn(registry.server().host), make());
      expect(answer.status).toBe(201);
      expect(milliseconds).toBeLessThan(mostMs);
    });
  }

  test("leave the memory of the server as it was", async () => {
    const pid = await processListeningOn(registry.server().host);
    const before = await residentBytes(pid);
    for (const make of [...Object.values(refused), ...Object.values(taken)]) await put(make());
    // What the last of them left goes with the next collection.
    await until("the memory is back", async () => (await residentBytes(pid)) - before < 64 << 20, 15_000);
  });
});

test("keys that are JavaScript's own mean nothing", async () => {
  const own = ["__proto__", "constructor", "prototype", "hasOwnProperty", "toString", "toJSON", "then", "valueOf"];
  for (const key of own) {
    const poison = `{"${key}":{"polluted":"yes","manifests":[{}],"mediaType":"a/b","subject":{},"layers":[]}`;
    for (const body of [`${poison},"schemaVersion":2,"manifests":[]}`, `${poison},"schemaVersion":2}`]) {
      const answer = await put(body);
      expect({ key, status: answer.status }).toEqual({ key, status: body.includes('"manifests":[]') ? 201 : 400 });
    }
    const annotated = await put(`{"schemaVersion":2,"manifests":[],"annotations":{"${key}":"a"}}`);
    expect(annotated.status).toBe(201);
  }
  expect((await registry.send("GET", "/v2/")).json()).toEqual({});
  const answer = await registry.send("GET", `/v2/${repository}/manifests/bomb`);
  expect(answer.header("content-type")).toBe(mediaTypes.index);
  expect(Object.keys(answer.headers)).not.toContain("polluted");
  const listed = await registry.send("GET", `/v2/${repository}/referrers/${config.digest}`);
  expect(listed.json()).toEqual({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] });
});
