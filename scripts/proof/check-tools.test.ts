import { afterEach, beforeEach, expect, it } from "bun:test";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "./run.ts";

const root = resolve(import.meta.dir, "../..");
const settings = ["package.json", "tsconfig.json", ".oxlintrc.json", ".oxfmtrc.json", "knip.json"];

let project: string;
beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "berth-tools-"));
  for (const file of settings) await cp(join(root, file), join(project, file));
  await symlink(join(root, "node_modules"), join(project, "node_modules"));
});
afterEach(async () => rm(project, { recursive: true, force: true }));

async function runTool(files: Readonly<Record<string, readonly string[]>>, command: readonly string[]) {
  for (const [path, lines] of Object.entries(files)) await Bun.write(join(project, path), `${lines.join("\n")}\n`);
  const [tool = "", ...args] = command;
  return run([join(project, "node_modules/.bin", tool), ...args], { cwd: project, env: { NO_COLOR: "1" } });
}

const outside = ['import { Database } from "bun:sqlite";', 'export const a = [Bun.file("x"), Database];'];

it("lint knows where Bun may be named, and what a test must not do", async () => {
  const files = {
    "src/registry/a.ts": outside,
    "src/platform/a.ts": outside,
    "src/registry/a.test.ts": [
      'import { describe, it, test } from "bun:test";',
      'describe.only("x", () => {});',
      'it.only("x", () => {});',
      'test.only("x", () => process.exit(0));',
    ],
    "src/registry/b.ts": [
      "export const b = async () => {};",
      "export const c = () => {",
      "  b();",
      "};",
      "export const d = (one: number, two: number, three: number, four: number) => one + two + three + four;",
      "export const e: any = [1][0]!;",
    ],
  };
  const { output, exitCode } = await runTool(files, ["oxlint", "--deny-warnings", "--format=unix"]);
  expect(exitCode).not.toBe(0);
  const found = [...output.matchAll(/^(\S+):(\d+):\d+: .*\[Error\/\w+\(([\w-]+)\)\]$/gm)].map(
    ([, file, line, rule]) => `${file ?? ""}:${line ?? ""} ${rule ?? ""}`,
  );
  expect(found.toSorted()).toEqual([
    "src/registry/a.test.ts:2 no-restricted-properties",
    "src/registry/a.test.ts:3 no-restricted-properties",
    "src/registry/a.test.ts:4 no-restricted-properties",
    "src/registry/a.test.ts:4 no-restricted-properties",
    "src/registry/a.ts:1 no-restricted-imports",
    "src/registry/a.ts:2 no-restricted-globals",
    "src/registry/b.ts:3 no-floating-promises",
    "src/registry/b.ts:5 max-params",
    "src/registry/b.ts:6 no-explicit-any",
    "src/registry/b.ts:6 no-non-null-assertion",
  ]);
}, 30_000);

it("types are held to every strict flag", async () => {
  const lines = ["export const first = (all: readonly string[]): string => all[0];"];
  const { output, exitCode } = await runTool({ "src/a.ts": lines }, ["tsc", "-p", "."]);
  expect(exitCode).not.toBe(0);
  expect(output).toContain("TS2322");
}, 30_000);

it("dead code is seen", async () => {
  const files = {
    "src/main.ts": ['import { used } from "./used.ts";', "used();"],
    "src/used.ts": ["export const used = () => 1;", "export const unused = () => 2;"],
    "src/forgotten.ts": ["export const forgotten = 1;"],
  };
  const { output, exitCode } = await runTool(files, ["knip", "--no-progress", "--include=files,exports"]);
  expect(exitCode).not.toBe(0);
  expect(output).toContain("src/forgotten.ts");
  expect(output).toMatch(/^unused\s.*src\/used\.ts/m);
}, 30_000);

it("format is seen", async () => {
  const { exitCode } = await runTool({ "src/a.ts": ["export const a   = 1"] }, ["oxfmt", "--check", "src"]);
  expect(exitCode).not.toBe(0);
}, 30_000);
