import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { adminBasic } from "../protocol/bearer.ts";
import { digestOf, startUpload } from "../protocol/content.ts";
import { freshRepository, useRegistry } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";

const registry = useRegistry({ env: { BERTH_UPLOADS_MAX_BYTES: "1000000" } });
const limitMs = 120_000;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-early-"));
  await Bun.write(join(folder, "zeros"), new Uint8Array(32 << 20));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Refused {
  readonly method: string;
  readonly target: string;
  readonly authorization: string;
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly request: () => Promise<Refused>;
}

const refusals: readonly Refusal[] = [
  {
    status: 401,
    code: "UNAUTHORIZED",
    request: async () => ({ method: "PUT", target: `/v2/${freshRepository()}/manifests/v1`, authorization: "" }),
  },
  {
    status: 404,
    code: "BLOB_UPLOAD_UNKNOWN",
    request: async () => ({
      method: "PATCH",
      target: `/v2/${freshRepository()}/blobs/uploads/none`,
      authorization: adminBasic(registry),
    }),
  },
  {
    status: 413,
    code: "MANIFEST_INVALID",
    request: async () => ({
      method: "PUT",
      target: `/v2/${freshRepository()}/manifests/v1`,
      authorization: adminBasic(registry),
    }),
  },
  {
    status: 413,
    code: "SIZE_INVALID",
    request: async () => ({
      method: "PATCH",
      target: await startUpload(registry, freshRepository()),
      authorization: adminBasic(registry),
    }),
  },
  {
    status: 413,
    code: "SIZE_INVALID",
    request: async () => ({
      method: "POST",
      target: `/v2/${freshRepository()}/blobs/uploads/?digest=${digestOf("x")}`,
      authorization: adminBasic(registry),
    }),
  },
];

type Command = (request: Refused & { readonly url: string }) => readonly string[];

const here = import.meta.dir;
const zeros = (): string => join(folder, "zeros");
const curl =
  (...more: readonly string[]): Command =>
  ({ method, url, authorization }) => {
    const sign = authorization === "" ? [] : ["--header", `Authorization: ${authorization}`];
    const send = ["--request", method, "--data-binary", `@${zeros()}`, "--header", "Content-Type: text/plain"];
    return ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", ...send, ...sign, ...more, url];
  };
const node =
  (length: "known" | "unknown"): Command =>
  ({ method, url, authorization }) => [
    "node",
    join(here, "early-refusal/push.mjs"),
    method,
    url,
    length,
    authorization,
  ];
const go =
  (length: "known" | "unknown", expects: "yes" | "no"): Command =>
  ({ method, url, authorization }) => [join(folder, "push"), method, url, length, expects, authorization];

const clients: readonly (readonly [program: string, name: string, command: Command])[] = [
  ["curl", "curl, of known length", curl("--header", "Expect:")],
  ["curl", "curl, in chunks", curl("--header", "Expect:", "--header", "Transfer-Encoding: chunked")],
  ["curl", "curl, with Expect: 100-continue", curl("--header", "Expect: 100-continue")],
  ["node", "Node, of known length", node("known")],
  ["node", "Node, in chunks", node("unknown")],
  ["go", "Go, of known length", go("known", "no")],
  ["go", "Go, in chunks", go("unknown", "no")],
  ["go", "Go, with Expect: 100-continue", go("known", "yes")],
];

describe("a refusal while 32 MiB are on their way is read by", () => {
  beforeAll(async () => {
    if (Bun.which("go") === null) return;
    const env = { ...process.env, GO111MODULE: "off" };
    const command = ["go", "build", "-o", join(folder, "push"), join(here, "early-refusal/main.go")];
    const { output, exitCode } = await run(command, { cwd: folder, env });
    expect(exitCode, output).toBe(0);
  }, limitMs);

  for (const [program, name, command] of clients) {
    requirement(name, Bun.which(program) === null ? `there is no ${program}` : undefined, () => {
      test(
        "with the protocol's body",
        async () => {
          for (const { status, code, request } of refusals) {
            const refused = await request();
            const url = `${registry.server().url}${refused.target}`;
            const { output } = await run(command({ ...refused, url }), { cwd: folder });
            expect({ output, status: new RegExp(`\\b${status}\\b`).test(output) }).toEqual({ output, status: true });
            expect(output).toContain(`{"errors":[{"code":"${code}"`);
          }
        },
        limitMs,
      );
    });
  }
});
