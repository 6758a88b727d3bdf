import { describe, test } from "bun:test";

/** Whether a component that is missing fails the run instead of being listed as not run. */
export const everythingIsRequired = process.env["BERTH_TEST_REQUIRE"] === "all";

/**
 * Registers tests that need a component of the machine. Where it is missing, one test takes their place, whose name
 * says so: `npm test` lists it by name, or fails where everything is required.
 */
export function requirement(name: string, missing: string | undefined, tests: () => void): void {
  if (missing === undefined) {
    describe(name, tests);
    return;
  }
  describe(name, () => {
    if (everythingIsRequired)
      test("has what it needs", () => {
        throw new Error(`required, but ${missing}`);
      });
    else test.skip(`not run: ${missing}`, () => undefined);
  });
}
