import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { judgeRun } from "./judge.ts";
import { parseJunit, type TestCase } from "./junit.ts";
import { run } from "./run.ts";

export interface TestRun {
  readonly cases: readonly TestCase[];
  /** Empty when all is well. */
  readonly problems: readonly string[];
  /** Tests that passed at their second try alone. */
  readonly unsteady?: readonly string[];
  readonly output: string;
}

export interface TestPlan {
  readonly root: string;
  /** Test files, relative to the root. */
  readonly files: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** Where to show what the run prints, as it comes. */
  readonly show?: boolean;
}

/** Every `*.test.ts` below these folders or files. */
export async function findTests(root: string, places: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const place of places) {
    if (place.endsWith(".test.ts")) found.push(place);
    else
      for await (const file of new Bun.Glob("**/*.test.ts").scan({ cwd: join(root, place), absolute: true }))
        found.push(relative(root, file));
  }
  return found.toSorted();
}

/** Runs the files with `bun test` and holds its JUnit file against them and against its summary. */
export async function runTests({ root, files, env = {}, flags = [], show = false }: TestPlan): Promise<TestRun> {
  const folder = await mkdtemp(join(tmpdir(), "berth-junit-"));
  const report = join(folder, "junit.xml");
  try {
    const paths = files.map((file) => `./${file}`);
    const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
    const { output, exitCode } = await run([process.execPath, "test", ...reporter, ...flags, ...paths], {
      cwd: root,
      env: { ...env, NO_COLOR: "1" },
      show,
    });
    const written = Bun.file(report);
    const cases = (await written.exists()) ? parseJunit(await written.text()) : [];
    const sources = await Promise.all(
      files.map(async (path) => ({ path, source: await Bun.file(join(root, path)).text() })),
    );
    return { cases, output, problems: judgeRun({ files: sources, cases, output, exitCode }) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
