import { describe, setDefaultTimeout, test } from "bun:test";
import { isInstalled } from "./provide-crane.ts";

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
const has = (need: string): boolean => (need === "root" ? process.getuid?.() === 0 : isInstalled(need));
