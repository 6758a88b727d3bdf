import { describe, setDefaultTimeout, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempt } from "./run.ts";

/** Module and version of crane: Debian has no package of it, so the Go client builds it. */
const craneModule = "github.com/google/go-containerregistry/cmd/crane";
const craneVersion = "v0.20.6";

/**
 * A test file of one client. Without what the client needs it holds one skipped test that says so by name; where
 * everything must run (BERTH_TEST_REQUIRE=all) that test fails instead.
 */
export function describeClient(name: string, needs: readonly string[], body: () => void): void {
  const missing = needs.filter((need) => !has(need));
  // 800 MiB take their time on a busy machine.
  setDefaultTimeout(240_000);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const title = `not run: ${missing.join(", ")} is missing`;
  if (process.env["BERTH_TEST_REQUIRE"] !== "all") {
    test.skip(title, () => undefined);
    return;
  }
  test(title, () => {
    throw new Error(`${name} must run here: ${missing.join(", ")} is missing`);
  });
}

/** Containers, chroots and containerd's mounts need the superuser. */
const has = (need: string): boolean =>
  // By itself `Bun.which` looks where PATH led at the start.
  need === "root" ? process.getuid?.() === 0 : Bun.which(need, { PATH: process.env["PATH"] ?? "" }) !== null;

/** Puts crane where `Bun.which` finds it: an installed one, else one that the Go client builds in a temporary folder. */
export async function provideCrane(): Promise<void> {
  if (has("crane") || !has("go")) return;
  const folder = join(tmpdir(), `berth-test-crane-${craneVersion}`);
  process.env["PATH"] = `${process.env["PATH"] ?? ""}:${folder}`;
  if (has("crane")) return;
  const env = { GOBIN: folder };
  await attempt(["go", "install", `${craneModule}@${craneVersion}`], { env, timeoutMs: 400_000 });
}
