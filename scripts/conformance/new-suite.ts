import { existsSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { run } from "../proof/run.ts";
import type { SuitePlan, SuiteProgram } from "./suite.ts";

const module = "github.com/opencontainers/distribution-spec/conformance";
/** The lists of expected results are those of this commit. */
const commit = "967efdc079b91785ad18c77cc4f8991a47feefbf";

export const newSuiteRuns = [
  { name: "new suite, 1.1", list: "expected-new-1.1.txt", version: "1.1" },
  { name: "new suite, dev", list: "expected-new-dev.txt", version: "dev" },
] as const;

const apis = [
  "PING",
  "PULL",
  "PUSH",
  "BLOBS_ATOMIC",
  "BLOBS_DELETE",
  "BLOBS_DIGEST_HEADER",
  "BLOBS_MOUNT_ANONYMOUS",
  "BLOBS_UPLOAD_CANCEL",
  "MANIFESTS_ATOMIC",
  "MANIFESTS_DELETE",
  "MANIFESTS_DIGEST_HEADER",
  "MANIFESTS_TAG_PARAM",
  "TAGS_ATOMIC",
  "TAGS_DELETE",
  "TAGS_LIST",
  "REFERRER",
];

const data = [
  "IMAGE",
  "INDEX",
  "INDEX_LIST",
  "SPARSE",
  "ARTIFACT",
  "SUBJECT",
  "SUBJECT_MISSING",
  "ARTIFACT_LIST",
  "SUBJECT_LIST",
  "DATA_FIELD",
  "NONDISTRIBUTABLE",
  "CUSTOM_FIELDS",
  "NO_LAYERS",
  "EMPTY_BLOB",
  "SHA512",
];

/** A program that was built before and is named by the environment, else what the Go client installs. */
export async function findNewSuite(folder: string): Promise<SuiteProgram> {
  const given = process.env["BERTH_CONFORMANCE_SUITE"];
  if (given !== undefined)
    return existsSync(given) ? { program: given } : { missing: `BERTH_CONFORMANCE_SUITE names no file: ${given}` };
  if (Bun.which("go") === null) return { missing: "Go is not installed" };
  const { output, exitCode } = await run(["go", "install", `${module}@${commit}`], {
    cwd: folder,
    env: { GOBIN: folder },
  });
  return exitCode === 0
    ? { program: join(folder, "conformance") }
    : { missing: `the Go client could not install it: ${output.trim()}` };
}

export const newSuitePlan = (program: string, folder: string, version: string): SuitePlan => ({
  program,
  folder,
  // Its sparse data is an image without its layers, which is refused by default.
  settings: { BERTH_MANIFESTS_SPARSE_IMAGES: "true" },
  env: (server) => ({
    OCI_VERSION: version,
    OCI_REGISTRY: server.host,
    OCI_TLS: "disabled",
    OCI_REPO1: "conformance/one",
    OCI_REPO2: "conformance/two",
    OCI_USERNAME: server.admin.username,
    OCI_PASSWORD: server.admin.password,
    OCI_RESULTS_DIR: folder,
    ...Object.fromEntries(apis.map((name) => [`OCI_API_${name}`, "true"])),
    ...Object.fromEntries(data.map((name) => [`OCI_DATA_${name}`, "true"])),
  }),
});

const statuses = z.record(z.string(), z.string());
const report = z.object({ apis: statuses, data: statuses });

/** What the suite's own summary calls anything but passed: each API and each kind of data. */
export async function judgeReport(folder: string): Promise<readonly string[]> {
  const file = Bun.file(join(folder, "results.yaml"));
  if (!(await file.exists())) return ["it wrote no results.yaml"];
  const { apis: byApi, data: byData } = report.parse(parse(await file.text()));
  return [...Object.entries(byApi), ...Object.entries(byData)]
    .filter(([, status]) => status !== "Pass")
    .map(([name, status]) => `${name}: ${status}`);
}
