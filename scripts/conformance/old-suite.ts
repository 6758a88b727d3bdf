import { join } from "node:path";
import { run } from "../proof/run.ts";
import { lists, type SuitePlan, type SuiteProgram } from "./suite.ts";

const module = "github.com/opencontainers/distribution-spec/conformance";

/** The suite at v1.1.1. Its two runs differ in what is deleted first; four of its tests exist in one of them only. */
export const oldSuiteRuns = [
  {
    name: "v1.1.1, manifests deleted first",
    list: "expected-v1.1.1-manifests-first.txt",
    env: { OCI_DELETE_MANIFEST_BEFORE_BLOBS: "1", OCI_AUTOMATIC_CROSSMOUNT: "1" },
  },
  {
    name: "v1.1.1, blobs deleted first",
    list: "expected-v1.1.1-blobs-first.txt",
    env: { OCI_DELETE_MANIFEST_BEFORE_BLOBS: "0" },
  },
] as const;

const suite = "OCI Distribution Conformance Tests";

/** Tests that stand for another kind of registry or of run, and are skipped in ours; each has a twin that must pass. */
export const alternatives: readonly string[] = [
  // For runs that push nothing.
  `${suite} Pull Setup Get tag name from environment`,
  `${suite} Content Discovery Setup Populate registry with test tags (no push)`,
  // For a registry that does not mount.
  `${suite} Push Cross-Repository Blob Mount Cross-mounting of nonexistent blob should yield session id`,
  `${suite} Push Cross-Repository Blob Mount Cross-mounting without from, and automatic content discovery disabled should return a 202`,
];

/** Built by the Go client from the module proxy, held against go.sum. */
export async function buildOldSuite(folder: string): Promise<SuiteProgram> {
  if (Bun.which("go") === null) return { missing: "Go is not installed" };
  const program = join(folder, "old-suite");
  const { output, exitCode } = await run(["go", "test", "-c", "-o", program, module], { cwd: join(lists, "old") });
  return exitCode === 0 ? { program } : { missing: `the Go client could not build it:\n${output}` };
}

export const oldSuitePlan = (program: string, folder: string, env: Readonly<Record<string, string>>): SuitePlan => ({
  program,
  folder,
  env: (server) => ({
    OCI_ROOT_URL: server.url,
    OCI_NAMESPACE: "conformance/one",
    OCI_CROSSMOUNT_NAMESPACE: "conformance/two",
    OCI_USERNAME: server.admin.username,
    OCI_PASSWORD: server.admin.password,
    OCI_TEST_PULL: "1",
    OCI_TEST_PUSH: "1",
    OCI_TEST_CONTENT_DISCOVERY: "1",
    OCI_TEST_CONTENT_MANAGEMENT: "1",
    OCI_REPORT_DIR: folder,
    ...env,
  }),
});
