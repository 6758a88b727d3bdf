import { describe, expect, it } from "bun:test";
import { resolve } from "node:path";
import { findViolations } from "./architecture/check.ts";
import type { SourceFile } from "./architecture/source.ts";

const root = resolve(import.meta.dir, "..");

async function readProject(): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  for (const folder of ["src", "test", "scripts", "bench"])
    for await (const path of new Bun.Glob(`${folder}/**/*.{ts,tsx}`).scan({ cwd: root }))
      files.push({ path, text: await Bun.file(resolve(root, path)).text() });
  return files;
}

it("the project keeps the rules of the house", async () => {
  const files = await readProject();
  expect(files.length).toBeGreaterThan(10);
  expect(findViolations(files)).toEqual([]);
});

/** Files by path; the last line of each case is what must be seen. */
type Planted = readonly [what: string, files: Readonly<Record<string, string>>, seen: string];

const tables = (name: string): string =>
  `declare module "../platform/database/database.ts" { interface Tables { ${name}: { id: number } } }`;

const planted: readonly Planted[] = [
  [
    "a ring that imports outwards",
    { "src/registry/a.ts": 'import { b } from "../access/b.ts";' },
    "src/registry/a.ts: registry may not import access (src/access/b.ts)",
  ],
  [
    "a type that is imported outwards",
    { "src/oci/a.ts": 'import type { B } from "../platform/b/b.ts";' },
    "src/oci/a.ts: oci may not import platform (src/platform/b/b.ts)",
  ],
  [
    "an import that only happens later",
    { "src/platform/x/a.ts": 'const b = await import("../../http/b.ts");' },
    "src/platform/x/a.ts: platform may not import http (src/http/b.ts)",
  ],
  [
    "a worker of an outer ring",
    { "src/registry/a.ts": 'new Worker(new URL("../cli/worker.ts", import.meta.url));' },
    "src/registry/a.ts: registry may not import cli (src/cli/worker.ts)",
  ],
  [
    "a side effect of an outer ring",
    { "src/access/a.ts": 'import "../features/search/b.ts";' },
    "src/access/a.ts: access may not import features (src/features/search/b.ts)",
  ],
  [
    "a command line that imports main",
    { "src/cli/a.ts": 'import { b } from "../main.ts";' },
    "src/cli/a.ts: cli may not import main.ts (src/main.ts)",
  ],
  [
    "the runtime in the heart",
    { "src/registry/a.ts": 'import type { Reply } from "../platform/runtime/reply.ts";' },
    "src/registry/a.ts: registry may not import platform/runtime (src/platform/runtime/reply.ts)",
  ],
  [
    "the runtime in access",
    { "src/access/a/b.ts": 'import type { Reply } from "../../platform/runtime/reply.ts";' },
    "src/access/a/b.ts: access may not import platform/runtime (src/platform/runtime/reply.ts)",
  ],
  [
    "a feature that knows its sibling",
    { "src/features/search/a.ts": 'import { b } from "../quota/b.ts";' },
    "src/features/search/a.ts: features/search may not import its sibling features/quota (src/features/quota/b.ts)",
  ],
  [
    "a product that needs its tests",
    { "src/http/a.ts": 'import { b } from "../../test/support/b.ts";' },
    "src/http/a.ts: it may not import test/support/b.ts, which is not the product",
  ],
  ["a file in no ring", { "src/extras/a.ts": "export const a = 1;" }, "src/extras/a.ts: it stands in no ring"],
  [
    "Hono outside the API",
    { "src/http/distribution/a.ts": 'import { Hono } from "hono";' },
    "src/http/distribution/a.ts: only http/api may import hono",
  ],
  [
    "a part of Hono outside the API",
    { "src/features/search/a.ts": 'import { zValidator } from "@hono/zod-validator";' },
    "src/features/search/a.ts: only http/api may import @hono/zod-validator",
  ],
  [
    "a package in the pure ring",
    { "src/oci/a.ts": 'import { z } from "zod";' },
    "src/oci/a.ts: oci may not import the package zod",
  ],
  [
    "Bun's modules outside the platform",
    { "src/registry/a.ts": 'import { Database } from "bun:sqlite";' },
    "src/registry/a.ts: only platform may import bun:sqlite",
  ],
  [
    "Bun outside the platform",
    { "src/http/a.ts": 'export const a = Bun.file("x");' },
    "src/http/a.ts: Bun: what is Bun's alone lives in platform",
  ],
  [
    "Bun by another way",
    { "src/cli/a.ts": "export const a = globalThis.Bun;" },
    "src/cli/a.ts: Bun: what is Bun's alone lives in platform",
  ],
  [
    "an HTTP type in the heart",
    { "src/registry/a.ts": "export const a = (request: Request) => request;" },
    "src/registry/a.ts: Request: no HTTP type in oci, registry and access",
  ],
  [
    "HTTP inside a template",
    { "src/access/a.ts": "export const a = `text ${new Headers().size}`;" },
    "src/access/a.ts: Headers: no HTTP type in oci, registry and access",
  ],
  [
    "an outbound request past the guard",
    { "src/features/webhooks/a.ts": 'export const a = fetch("http://example.test");' },
    "src/features/webhooks/a.ts: fetch: the only way out is platform/net",
  ],
  [
    "an outbound request by the runtime itself",
    { "src/platform/runtime/a.ts": 'export const a = () => fetch("http://example.test");' },
    "src/platform/runtime/a.ts: fetch: the only way out is platform/net",
  ],
  [
    "an outbound request by a client of Node's",
    { "src/platform/telemetry/a.ts": 'import { request } from "node:https";' },
    "src/platform/telemetry/a.ts: only platform/net may import node:https",
  ],
  [
    "a connection by a package of which other parts are harmless",
    { "src/features/webhooks/a.ts": 'import { isIP, connect as open } from "node:net";' },
    "src/features/webhooks/a.ts: only platform/net may import connect of node:net",
  ],
  [
    "all of such a package",
    { "src/cli/a.ts": 'import * as net from "node:net";' },
    "src/cli/a.ts: only platform/net may import all of it of node:net",
  ],
  [
    "such a package, later",
    { "src/cli/a.ts": 'const net = await import("node:net");' },
    "src/cli/a.ts: only platform/net may import all of it of node:net",
  ],
  [
    "a connection of Bun's",
    { "src/platform/blobs/a.ts": 'export const a = Bun.connect({ hostname: "example.test", port: 1 });' },
    "src/platform/blobs/a.ts: Bun: connect only by platform/net",
  ],
  [
    "a connection of Bun's by another name",
    { "src/platform/blobs/a.ts": "const { S3Client } = Bun;" },
    "src/platform/blobs/a.ts: Bun: its members only by platform/net",
  ],
  [
    "a web socket",
    { "src/http/a.ts": 'export const a = new WebSocket("ws://example.test");' },
    "src/http/a.ts: WebSocket: the only way out is platform/net",
  ],
  [
    "a directory that a test plays",
    {
      "src/access/sources/ldap/a.test.ts":
        "const fake: DirectorySession = { bind: async () => true, close: () => undefined };",
    },
    "src/access/sources/ldap/a.test.ts: bind: tests of sources of identity talk to real ones",
  ],
  [
    "a source that a test plays",
    { "src/access/sources/a.test.ts": "const fake = { async authenticate(name: string) { return known(name); } };" },
    "src/access/sources/a.test.ts: authenticate: tests of sources of identity talk to real ones",
  ],
  [
    "a provider that a test plays",
    { "src/access/sources/oidc/a.test.ts": 'const fake = { finish: async () => ({ kind: "identity" }) };' },
    "src/access/sources/oidc/a.test.ts: finish: tests of sources of identity talk to real ones",
  ],
  [
    "a provider's tokens that a test makes",
    { "src/access/sources/oidc/a.test.ts": 'import { SignJWT } from "jose";' },
    "src/access/sources/oidc/a.test.ts: jose: tests of sources of identity talk to real ones",
  ],
  [
    "a directory that a test makes of a mock",
    { "src/access/sources/a.test.ts": 'import { mock } from "bun:test";' },
    "src/access/sources/a.test.ts: mock: tests of sources of identity talk to real ones",
  ],
  [
    "a directory that a test makes of a socket",
    { "src/access/sources/a.test.ts": 'import { connect } from "node:net";' },
    "src/access/sources/a.test.ts: node:net: tests of sources of identity talk to real ones",
  ],
  [
    "a directory that a test serves",
    { "src/access/sources/a.test.ts": "Bun.listen({ port: 0 });" },
    "src/access/sources/a.test.ts: a server: tests of sources of identity talk to real ones",
  ],
  [
    "LDAP past the one way out",
    { "src/access/sources/a.ts": 'import { Client } from "ldapts";' },
    "src/access/sources/a.ts: only platform/net may import ldapts",
  ],
  [
    "a lookup of a name",
    { "src/http/a.ts": 'import { lookup } from "node:dns/promises";' },
    "src/http/a.ts: only platform/net may import node:dns/promises",
  ],
  [
    "a table that another ring writes",
    { "src/registry/tables.ts": tables("tags"), "src/http/a/b.ts": 'db.insertInto("tags").execute();' },
    "src/http/a/b.ts: only registry writes table tags",
  ],
  [
    "a table that is written in SQL",
    { "src/registry/tables.ts": tables("tags"), "src/access/b.ts": "sql`update tags set name = 1`;" },
    "src/access/b.ts: only registry writes table tags",
  ],
  [
    "a table that is emptied through a line break",
    { "src/access/tables.ts": tables("accounts"), "src/cli/b.ts": 'tx\n  .deleteFrom(\n    "accounts",\n  );' },
    "src/cli/b.ts: only access writes table accounts",
  ],
  [
    "a sibling's table that is read",
    {
      "src/features/quota/tables.ts": tables("quotas"),
      "src/features/search/b.ts": 'db.selectFrom("tags").innerJoin("quotas as q", "q.id", "tags.id");',
    },
    "src/features/search/b.ts: it may not read table quotas of features/quota",
  ],
  [
    "a table of a ring above that is read",
    { "src/access/tables.ts": tables("accounts"), "src/registry/b.ts": "sql`select 1 from accounts`;" },
    "src/registry/b.ts: it may not read table accounts of access",
  ],
  [
    "a table of the platform that a neighbour writes",
    { "src/platform/jobs/tables.ts": tables("jobs"), "src/platform/events/b.ts": 'db.updateTable("jobs");' },
    "src/platform/events/b.ts: only platform/jobs writes table jobs",
  ],
  [
    "a table that nobody declared",
    { "src/registry/b.ts": 'db.replaceInto("ghosts");' },
    "src/registry/b.ts: it writes table ghosts, which no folder owns",
  ],
  [
    "a table with two owners",
    { "src/registry/tables.ts": tables("tags"), "src/access/tables.ts": tables("tags") },
    "table tags has more than one owner: registry, access",
  ],
  ["a default export", { "src/http/a.ts": "const a = 1;\nexport default a;" }, "src/http/a.ts: no default exports"],
  [
    "a default export by another name",
    { "test/a.ts": "const a = 1;\nexport { a as default };" },
    "test/a.ts: no default exports",
  ],
  [
    "a barrel",
    { "src/oci/index.ts": '// all of it\nexport * from "./digest.ts";\nexport {\n  a,\n} from "./a.ts";\n' },
    "src/oci/index.ts: no barrels",
  ],
  [
    "a name that says nothing",
    { "src/registry/utils/a.ts": "export const a = 1;" },
    'src/registry/utils/a.ts: a name with "utils" does not say what is inside',
  ],
  [
    "a name that ends in nothing",
    { "src/registry/upload-manager.ts": "export const a = 1;" },
    'src/registry/upload-manager.ts: a name with "manager" does not say what is inside',
  ],
  [
    "a name in another style",
    { "src/registry/uploadSession.ts": "export const a = 1;" },
    "src/registry/uploadSession.ts: file names are kebab-case",
  ],
];

describe("each rule sees", () => {
  it.each(planted.map((one) => [...one] as const))("%s", (_what, files, seen) => {
    const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
    expect(findViolations(sources)).toEqual([seen]);
  });
});

it("no rule sees what is allowed", () => {
  const allowed: Readonly<Record<string, string>> = {
    "src/platform/net/a.ts": 'import { connect } from "node:net"; fetch("x"); Bun.connect({}); new WebSocket("x");',
    "src/access/network.ts": 'import { isIPv4, type isIPv6 } from "node:net";',
    "src/main.ts": 'import { serve } from "./cli/serve.ts";\nimport { a } from "./platform/runtime/a.ts";',
    "src/platform/runtime/a.ts":
      "Bun.serve({ fetch: (request: Request) => new Response() }); const { port } = Bun.serve({});",
    "src/registry/tables.ts": [
      'import type { Tag } from "../oci/tag.ts";',
      'declare module "../platform/database/database.ts" {',
      "  interface Tables {",
      "    readonly tags: { readonly name: Tag; readonly nested: { readonly jobs: number } };",
      "    blobs: Blobs;",
      "  }",
      "}",
    ].join("\n"),
    "src/registry/push.ts": [
      "// A Request of Bun by fetch, from accounts.",
      'const text = "the Response of a Request; update accounts";',
      "const reply = { Headers: 1, fetch: 2 };",
      'tx.insertInto("tags"); tx.updateTable("blobs as b"); sql`delete from tags`;',
      'db.with("recent", (q) => q.selectFrom("tags")).selectFrom("recent");',
    ].join("\n"),
    "src/access/tables.ts": tables("accounts"),
    "src/features/search/a.ts": [
      'import { a } from "./b.ts";',
      'db.selectFrom("tags").innerJoin("accounts", "a", "b"); sql`select * from blobs join accounts`;',
    ].join("\n"),
    "src/features/search/a.test.ts": 'import { b } from "../../../test/support/b.ts"; await fetch("x"); Bun.gc();',
    "src/access/sources/ldap/a.test.ts": 'const answer = await source.authenticate("bind: ann", right);',
    "src/http/api/mount.ts": 'import { Hono } from "hono";\nimport { search } from "../../features/search/a.ts";',
    "scripts/proof/run.ts": 'export { run } from "./a.ts";\nexport const b = 1;',
  };
  expect(findViolations(Object.entries(allowed).map(([path, text]) => ({ path, text })))).toEqual([]);
});
