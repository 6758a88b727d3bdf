import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { withoutSettings } from "../../test/support/server.ts";
import { toolsOf, type DocBlock } from "./doc-blocks.ts";

export interface BlockResult {
  readonly block: DocBlock;
  readonly outcome: "passed" | "failed" | "marked" | "missing";
  /** What the block printed when it failed, or why it was not run. */
  readonly detail: string;
}

export interface DocServer extends AsyncDisposable {
  readonly host: string;
  readonly data: string;
}

export interface DocRunOptions {
  readonly root: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly startServer: () => Promise<DocServer>;
  /** Why a program cannot be used here. */
  readonly missingTool: (tool: string) => string | undefined;
  readonly limitSeconds: number;
}

/** The address that documents name; the server of the run listens elsewhere. */
const documentedAddress = /\b(?:localhost|127\.0\.0\.1):5000\b/g;

/** Runs the blocks of one document in one shell. */
export async function runDocument(
  blocks: readonly DocBlock[],
  options: DocRunOptions,
): Promise<readonly BlockResult[]> {
  const plan = blocks.map((block) => planBlock(block, options.missingTool));
  // What comes after a block that could not run may need what it would have done.
  const firstMissing = plan.findIndex((one) => one.outcome === "missing");
  const planned = plan.map((one, index) =>
    firstMissing !== -1 && index > firstMissing && one.outcome === "passed"
      ? {
          ...one,
          outcome: "missing" as const,
          detail: `it comes after a block where ${plan[firstMissing]?.detail ?? ""}`,
        }
      : one,
  );
  const runnable = planned.filter((one) => one.outcome === "passed").map((one) => one.block);
  if (runnable.length === 0) return planned;
  const results = await execute(runnable, options);
  return planned.map((one) => results.find((result) => result.block === one.block) ?? one);
}

function planBlock(block: DocBlock, missingTool: DocRunOptions["missingTool"]): BlockResult {
  if (block.notRun !== undefined) return { block, outcome: "marked", detail: block.notRun };
  const missing = toolsOf(block).flatMap((tool) => missingTool(tool) ?? []);
  return missing.length > 0
    ? { block, outcome: "missing", detail: missing.join(", ") }
    : { block, outcome: "passed", detail: "" };
}

async function execute(blocks: readonly DocBlock[], options: DocRunOptions): Promise<readonly BlockResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "berth-docs-"));
  try {
    await using server = await options.startServer();
    // Where a server of the reader's own has its data: in the folder of its start.
    await mkdir(join(folder, "work"));
    await symlink(server.data, join(folder, "work/data"));
    for (const [index, { commands }] of blocks.entries())
      await Bun.write(join(folder, `${String(index)}.sh`), `${commands.replaceAll(documentedAddress, server.host)}\n`);
    await Bun.write(join(folder, "all.sh"), shellScript(folder, blocks.length));
    const overran = await runShell(folder, options);
    return await Promise.all(blocks.map(async (block, index) => readResult({ folder, block, index, overran })));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function shellScript(folder: string, count: number): string {
  const steps = Array.from({ length: count }, (_, index) => {
    const path = `"${folder}/${String(index)}`;
    return `exec >${path}.out" 2>&1\n. ${path}.sh"\n: >${path}.done"`;
  });
  return ["set -euo pipefail", `cd "${folder}/work"`, ...steps, ""].join("\n");
}

async function runShell(folder: string, { root, env, limitSeconds }: DocRunOptions): Promise<boolean> {
  // A session of its own, so that what a block left running ends with it.
  const shell = spawn("bash", [join(folder, "all.sh")], {
    detached: true,
    stdio: "ignore",
    env: {
      ...withoutSettings(process.env),
      ...env,
      HOME: folder,
      XDG_RUNTIME_DIR: folder,
      PATH: [join(root, "bin"), process.env["PATH"] ?? ""].join(delimiter),
    },
  });
  const group = shell.pid;
  if (group === undefined) throw new Error("the documents need bash");
  let overran = false;
  const limit = setTimeout(() => {
    overran = true;
    killGroup(group);
  }, limitSeconds * 1000);
  await once(shell, "exit");
  clearTimeout(limit);
  killGroup(group);
  return overran;
}

function killGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // Everything in it has ended.
  }
}

interface Ran {
  readonly folder: string;
  readonly block: DocBlock;
  readonly index: number;
  readonly overran: boolean;
}

async function readResult({ folder, block, index, overran }: Ran): Promise<BlockResult> {
  if (await Bun.file(join(folder, `${String(index)}.done`)).exists()) return { block, outcome: "passed", detail: "" };
  const output = Bun.file(join(folder, `${String(index)}.out`));
  if (!(await output.exists())) return { block, outcome: "failed", detail: "a block before it ended the shell" };
  return {
    block,
    outcome: "failed",
    detail: `${await output.text()}${overran ? "\n(ended: the document took too long)" : ""}`,
  };
}
