import { digestOf, indexBytes, jsonBytes, mediaTypes } from "../../protocol/content.ts";
import type { Random } from "./random.ts";

/** What the server has and the requests can name. */
export interface World {
  readonly host: string;
  readonly authorizations: readonly [string, ...string[]];
  readonly repositories: readonly [string, ...string[]];
  readonly digests: readonly [string, ...string[]];
  /** Of open uploads. */
  readonly locations: readonly [string, ...string[]];
}

const names = [
  "a",
  "acme/app",
  "library/a",
  "A",
  "a//b",
  "..",
  "%2e%2e",
  "_catalog",
  "a_",
  "a__b",
  "a".repeat(256),
  "blobs",
  "uploads",
  "manifests/x",
  "%00",
  "%ff",
  "\u00e9",
  "a%2fb",
  "a;b",
  "a\\b",
  "tags/list",
  "",
] as const;
const references = [
  "v1",
  "latest",
  "-x",
  ".x",
  "x".repeat(129),
  "sha256:",
  "sha256:0",
  "md5:d41d8cd98f00b204e9800998ecf8427e",
  "sha512:00",
  "SHA256:00",
  "%73ha256:00",
  "a:b:c",
  "..",
  "%00",
  "\u00ff",
  "@",
  "*",
] as const;
const numbers = [
  "0",
  "1",
  "-1",
  "1e9",
  "2147483648",
  "9007199254740993",
  "NaN",
  "",
  " 1",
  "0x10",
  "1.5",
  "9".repeat(40),
] as const;
const methods = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "CONNECT",
  "BREW",
  "get",
] as const;
const types = [
  ...Object.values(mediaTypes),
  "",
  "text/html",
  "application/json; charset=utf-16",
  "a/b, c/d",
  "application/x-www-form-urlencoded",
  "\u00ff",
] as const;

const pickOf = <T>(random: Random, choices: readonly T[]): T => choices[random.int(choices.length)] as T;

interface Target {
  readonly path: string;
  /** Those that mean something there. */
  readonly methods: readonly string[];
}

const place = (path: string, ...methodsThere: readonly string[]): Target => ({ path, methods: methodsThere });

function target(random: Random, world: World): Target {
  const name = random.chance(6) ? pickOf(random, names) : random.pick(world.repositories);
  const digest = random.chance(6) ? pickOf(random, references) : random.pick(world.digests);
  const { path, methods: meaningful } = random.pick([
    () => place("/v2/", "GET"),
    () => place("/v2/_catalog", "GET"),
    () => place("/token", "GET", "POST"),
    () => place("/token/jwks.json", "GET"),
    () => place(`/v2/${name}/tags/list`, "GET"),
    () => place(`/v2/${name}/manifests/${pickOf(random, references)}`, "GET", "PUT", "PUT", "DELETE"),
    () => place(`/v2/${name}/manifests/v${String(random.int(5))}`, "GET", "PUT", "PUT", "PUT"),
    () => place(`/v2/${name}/manifests/${digest}`, "GET", "PUT"),
    () => place(`/v2/${name}/blobs/${digest}`, "GET", "GET", "HEAD"),
    () => place(`/v2/${name}/referrers/${digest}`, "GET"),
    () => place(`/v2/${name}/blobs/uploads/`, "POST"),
    () => place(random.pick(world.locations), "GET", "PATCH", "PATCH", "PUT"),
    () =>
      place(
        `/${random
          .bytes(random.int(60))
          .toString("latin1")
          .replaceAll(/[\0-\x20]/g, "/")}`,
        "GET",
      ),
  ])();
  const parameters = Array.from({ length: random.chance(2) ? 0 : random.int(4) }, () => parameter(random, world));
  return { path: parameters.length === 0 ? path : `${path}?${parameters.join("&")}`, methods: meaningful };
}

function parameter(random: Random, world: World): string {
  const name = pickOf(random, [
    "n",
    "last",
    "digest",
    "mount",
    "from",
    "tag",
    "artifactType",
    "digest-algorithm",
    "ns",
    "service",
    "scope",
    "account",
    "offline_token",
    "__proto__",
    "",
    "%00",
  ]);
  const value = random.pick([
    () => pickOf(random, numbers),
    () => pickOf(random, names),
    () => pickOf(random, references),
    () => random.pick(world.digests),
    () => random.pick(world.repositories),
    () => `repository:${pickOf(random, names)}:pull,push,*`,
    () => encodeURIComponent(random.bytes(random.int(12)).toString("latin1")),
    () => ["sha512", "sha256", "berth", "true"][random.int(4)] ?? "",
  ])();
  return `${name}=${value}`;
}

function range(random: Random): string {
  const one = (): string => `${pickOf(random, numbers)}-${pickOf(random, numbers)}`;
  const unit = pickOf(random, ["bytes=", "bytes=", "bytes ", "items=", ""]);
  return `${unit}${Array.from({ length: 1 + random.int(5) }, one).join(random.chance(3) ? " ,, " : ",")}`;
}

function headers(random: Random, world: World): readonly string[] {
  const all: readonly (() => string)[] = [
    () => `Range: ${range(random)}`,
    () => `Content-Range: ${pickOf(random, numbers)}-${pickOf(random, numbers)}`,
    () => `If-Match: "${random.pick(world.digests)}"`,
    () => `If-None-Match: ${pickOf(random, ["*", 'W/"x"', ",,,", random.pick(world.digests)])}`,
    () => `If-Range: ${pickOf(random, references)}`,
    () => `Accept: ${pickOf(random, types)}`,
    () => `Content-Type: ${pickOf(random, types)}`,
    () => `Accept-Encoding: gzip, br;q=${pickOf(random, numbers)}`,
    () => `Content-Encoding: ${pickOf(random, ["gzip", "br", "x"])}`,
    () => `Transfer-Encoding: ${pickOf(random, ["chunked", "gzip", "chunked, chunked", "identity", "\tchunked"])}`,
    () => `Content-Length: ${pickOf(random, numbers)}`,
    () => `Expect: ${pickOf(random, ["100-continue", "x"])}`,
    () => `Connection: ${pickOf(random, ["Upgrade", "keep-alive", "Content-Length", "x, y"])}`,
    () => `Upgrade: ${pickOf(random, ["websocket", "h2c", "x"])}`,
    () => `Host: ${pickOf(random, ["", "a b", "[::1", "x:99999", "\u00ff", world.host])}`,
    () =>
      `Authorization: ${pickOf(random, ["Basic", "Bearer", "Basic Og==", "Bearer a.b.c", "Negotiate x", "Basic !"])}`,
    () =>
      `X-${String(random.int(99))}: ${random
        .bytes(random.int(40))
        .toString("latin1")
        .replaceAll(/[\r\n]/g, "")}`,
  ];
  return Array.from({ length: random.chance(3) ? 0 : random.int(4) }, () => pickOf(random, all)());
}

/** A manifest that was one, until some of it was exchanged for something else. */
function manifest(random: Random, world: World): Buffer {
  const values: readonly unknown[] = [
    null,
    0,
    -1,
    1.5,
    2 ** 53,
    "",
    "x",
    [],
    {},
    [null],
    true,
    "__proto__",
    mediaTypes.index,
    "\u0000",
    "\ud800",
    { mediaType: "a/b", digest: random.pick(world.digests), size: 1 },
    [[[[]]]],
    { a: "b" },
  ];
  const fields = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType"];
  const descriptor = { mediaType: mediaTypes.layer, digest: random.pick(world.digests), size: 1 };
  const whole: Record<string, unknown> = random.chance(2)
    ? { schemaVersion: 2, config: { ...descriptor, mediaType: mediaTypes.config }, layers: [descriptor] }
    : { schemaVersion: 2, manifests: [descriptor], annotations: { a: "b" } };
  for (let change = random.int(3); change > 0; change -= 1) {
    whole[pickOf(random, [...fields, "annotations", "Layers", "x"])] = pickOf(random, values);
  }
  const bytes = jsonBytes(whole);
  return random.chance(3) ? mutated(random, bytes) : bytes;
}

/** Some bytes changed, left out, doubled or added. */
function mutated(random: Random, bytes: Buffer): Buffer {
  let result = bytes;
  for (let change = 1 + random.int(4); change > 0; change -= 1) {
    const at = random.int(result.length + 1);
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    result = random.pick([
      () => Buffer.concat([before, random.bytes(1 + random.int(4)), after]),
      () => Buffer.concat([before, after.subarray(1 + random.int(4))]),
      () => Buffer.concat([before, after.subarray(0, 20), after]),
      () => Buffer.concat([before, random.bytes(1), after.subarray(1)]),
      () => before,
    ])();
  }
  return result;
}

function body(random: Random, world: World): Buffer {
  return random.pick([
    () => Buffer.alloc(0),
    () => manifest(random, world),
    () => indexBytes([]),
    () => random.bytes(random.int(2000)),
    () => Buffer.from(`grant_type=password&username=x&password=${random.bytes(9).toString("hex")}&service=berth`),
    () => Buffer.from(`5\r\nhello\r\n${random.chance(2) ? "0\r\n\r\n" : "zz\r\n"}`),
  ])();
}

/** One request as bytes; most are almost right, some are no HTTP at all. */
export function randomRequest(random: Random, world: World): Buffer {
  const payload = body(random, world);
  const given = headers(random, world);
  const { path, methods: meaningful } = target(random, world);
  const method = random.chance(5) ? pickOf(random, methods) : pickOf(random, meaningful);
  const digest = random.chance(3) && path.includes("/uploads/") ? `digest=${digestOf(payload)}` : undefined;
  const separator = path.includes("?") ? "&" : "?";
  const lines = [
    `${method} ${digest === undefined ? path : `${path}${separator}${digest}`} HTTP/1.1`,
    ...(given.some((line) => line.startsWith("Host")) ? [] : [`Host: ${world.host}`]),
    ...(random.chance(8) ? [] : [`Authorization: ${random.pick(world.authorizations)}`]),
    ...given,
    ...(given.some((line) => /^(Content-Length|Transfer)/.test(line))
      ? []
      : [`Content-Length: ${String(payload.length)}`]),
    "Connection: close",
  ];
  const whole = Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), payload]);
  if (random.chance(6)) return mutated(random, whole);
  return random.chance(200) ? random.bytes(200) : whole;
}
