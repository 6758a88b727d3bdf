/** The rings of `src/`, innermost first, and what each may import beside itself. */
export const rings: Readonly<Record<string, readonly string[]>> = {
  oci: [],
  platform: ["oci"],
  registry: ["oci", "platform"],
  access: ["oci", "platform", "registry"],
  features: ["oci", "platform", "registry", "access"],
  http: ["oci", "platform", "registry", "access", "features"],
  cli: ["oci", "platform", "registry", "access", "features", "http"],
  "main.ts": ["oci", "platform", "registry", "access", "features", "http", "cli"],
};

/** Rings whose folders own their tables one by one; elsewhere the ring is the owner. */
export const ringsOfOwners: readonly string[] = ["platform", "features", "http"];

/** Rings whose folders know nothing of each other. */
export const ringsOfStrangers: readonly string[] = ["features"];

/** A folder that the rings above may use, except these. */
export const closedFolders: Readonly<Record<string, readonly string[]>> = {
  "platform/runtime": ["registry", "access"],
};

/** Packages, by the start of their name, and the only places that may import them. */
export const packagePlaces: Readonly<Record<string, readonly string[]>> = {
  hono: ["http/api"],
  "@hono/": ["http/api"],
  bun: ["platform"],
  "bun:": ["platform"],
  pg: ["platform/database"],
  "node:http": ["platform/net"],
  "node:https": ["platform/net"],
  "node:http2": ["platform/net", "platform/runtime"],
  "node:tls": ["platform/net", "platform/runtime"],
  "node:dns": ["platform/net"],
  "node:dgram": ["platform/net"],
  ldapts: ["platform/net"],
  undici: ["platform/net"],
  axios: ["platform/net"],
  "node-fetch": ["platform/net"],
  got: ["platform/net"],
};

/** Of these packages, other places may import these names alone: the others connect or listen. */
export const harmlessNames: Readonly<Record<string, { readonly names: readonly string[]; readonly only: string }>> = {
  "node:net": { names: ["isIP", "isIPv4", "isIPv6", "BlockList"], only: "platform/net" },
};

/** Members of `Bun` that connect somewhere. */
export const waysOut: readonly string[] = [
  "connect",
  "fetch",
  "udpSocket",
  "dns",
  "sql",
  "SQL",
  "s3",
  "S3Client",
  "redis",
  "RedisClient",
];

/** Rings that import no package at all. */
export const ringsWithoutPackages: readonly string[] = ["oci"];

interface GlobalRule {
  readonly names: readonly string[];
  /** Units or rings; with `only`, every other place is forbidden it. */
  readonly only?: readonly string[];
  readonly never?: readonly string[];
  readonly because: string;
}

export const globalRules: readonly GlobalRule[] = [
  { names: ["Bun"], only: ["platform"], because: "what is Bun's alone lives in platform" },
  {
    names: ["Request", "Response", "Headers"],
    never: ["oci", "registry", "access"],
    because: "no HTTP type in oci, registry and access",
  },
  {
    names: ["fetch", "WebSocket", "EventSource", "XMLHttpRequest"],
    only: ["platform/net"],
    because: "the only way out is platform/net",
  },
];

/** Where tests talk to the real thing, in its own process, and what a stand-in for it would be made of. */
export const realThings = {
  folders: ["access/sources"],
  /** Names of a test's own doubles and servers. */
  names: ["mock", "spyOn", "jest", "vi", "createServer", "directorySession"],
  /** What a source or a conversation with one would have to have. */
  members: ["authenticate", "confirm", "bind", "search", "begin", "finish", "discover", "endUrl"],
  packages: [
    "ldapjs",
    "oidc-provider",
    "openid-client",
    "jose",
    "nock",
    "msw",
    "sinon",
    "node:net",
    "node:tls",
    "node:http",
    "node:https",
  ],
} as const;

/** A name that says nothing about what is inside. */
export const emptyWords: readonly string[] = [
  "util",
  "utils",
  "helper",
  "helpers",
  "common",
  "manager",
  "managers",
  "service",
  "services",
  "controller",
  "controllers",
];
