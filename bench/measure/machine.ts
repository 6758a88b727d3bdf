import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import type { Folder } from "./folder.ts";
import { spreadOf } from "./statistics.ts";

const fileSystems: Readonly<Record<number, string>> = {
  0xef53: "ext4",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
  0x01021994: "tmpfs",
  0x794c7630: "overlayfs",
};

/** What a reader has to know of where and when it was measured, a line each. */
export async function describeMachine(folder: Folder, root: string): Promise<readonly string[]> {
  const processors = cpus();
  const { type } = await statfs(folder.path);
  const git = async (...args: readonly string[]): Promise<string> =>
    (await run(["git", ...args], { cwd: root })).output.trim();
  const changed = (await git("status", "--porcelain", "--", "src", "package.json")) === "" ? "" : ", with changes";
  return [
    `date: ${new Date().toISOString().slice(0, 16)}Z`,
    `commit: ${await git("rev-parse", "--short=12", "HEAD")}${changed}`,
    `machine: ${String(processors.length)} x ${processors[0]?.model ?? "unknown"}, ${(totalmem() / 1e9).toFixed(0)} GB`,
    `kernel: Linux ${release()}`,
    `disk: ${fileSystems[type] ?? `file system ${type.toString(16)}`}, a sync of 4 KiB takes ${syncMs(folder).toFixed(2)} ms`,
    "page cache: warm; client and servers share the processors, nothing is pinned",
  ];
}

function syncMs(folder: Folder): number {
  const file = openSync(join(folder.make("disk"), "sync"), "w");
  const block = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 50 }, () => {
    writeSync(file, block);
    const began = performance.now();
    fsyncSync(file);
    return performance.now() - began;
  });
  closeSync(file);
  return spreadOf(times).median;
}
