import { mkdir, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { run } from "./proof/run.ts";

export interface BuildPlan {
  /** Of the checkout. */
  readonly root: string;
  readonly outfile: string;
  /** Below the root; `src/main.ts` by default. */
  readonly main?: string;
}

const workerPath = /new URL\("(\.[^"]+\.ts)", import\.meta\.url\)/g;

/**
 * Makes one executable of the product, Bun and its workers. In it every module that is not an entry stands at the top,
 * so a worker's path, which is relative to the module that starts it, is rewritten to be relative to the top.
 */
export async function buildExecutable({ root, outfile, main = "src/main.ts" }: BuildPlan): Promise<void> {
  const top = join(root, dirname(main));
  const workers = await findWorkers(top);
  await mkdir(dirname(outfile), { recursive: true });
  const { outputs } = await Bun.build({
    entrypoints: [join(root, main), ...workers],
    root: top,
    target: "bun",
    minify: true,
    // Compiled before it is shipped, and what is imported on the way is loaded when it is: a start takes 110 ms of
    // processor time where it took 400.
    format: "esm",
    bytecode: true,
    splitting: true,
    sourcemap: "inline",
    define: {
      BERTH_VERSION: JSON.stringify(await versionOf(root)),
      BERTH_COMMIT: JSON.stringify(await commitOf(root)),
    },
    // What lies in the folder of its start must not change what it does.
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    plugins: [
      {
        name: "worker paths",
        setup(build) {
          build.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
            contents: rewriteWorkerPaths(await Bun.file(path).text(), relative(top, dirname(path))),
            loader: "ts",
          }));
        },
      },
    ],
  });
  for (const { path } of outputs) if (path !== outfile) await rm(path, { force: true });
}

/** @param folder of the module, relative to the top */
export function rewriteWorkerPaths(source: string, folder: string): string {
  return source.replaceAll(
    workerPath,
    (_, path: string) => `new URL(${JSON.stringify(`./${join(folder, path)}`)}, import.meta.url)`,
  );
}

async function findWorkers(top: string): Promise<readonly string[]> {
  const workers = new Set<string>();
  for await (const file of new Bun.Glob("**/*.ts").scan({ cwd: top, absolute: true })) {
    if (file.endsWith(".test.ts")) continue;
    for (const [, path = ""] of (await Bun.file(file).text()).matchAll(workerPath))
      workers.add(join(dirname(file), path));
  }
  return [...workers].toSorted();
}

async function versionOf(root: string): Promise<string> {
  const { version }: { readonly version: string } = await Bun.file(join(root, "package.json")).json();
  return version;
}

async function commitOf(root: string): Promise<string> {
  try {
    const { output, exitCode } = await run(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root });
    return exitCode === 0 ? output.trim() : "unknown";
  } catch {
    return "unknown";
  }
}
