import { mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of the test's own, with a data folder in it. */
export interface RealDisk extends AsyncDisposable {
  readonly data: string;
  /** Changes the mount: `mount -o remount,OPTIONS`. */
  remount(options: string): Promise<void>;
  /** Takes away all free space but so much, or gives all of it back. */
  leaveFree(bytes: number | "all"): Promise<void>;
  unmount(): Promise<void>;
  mount(): Promise<void>;
}

async function run(...command: readonly string[]): Promise<string | undefined> {
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "pipe" });
  const errors = await new Response(child.stderr).text();
  return (await child.exited) === 0 ? undefined : `${command.join(" ")}: ${errors.trim()}`;
}

async function must(...command: readonly string[]): Promise<void> {
  const problem = await run(...command);
  if (problem !== undefined) throw new Error(problem);
}

/** Where the programs are that only root needs. */
const makeExt4 = Bun.which("mkfs.ext4", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });

/** Why no file system can be mounted here. */
export async function missingForMounts(): Promise<string | undefined> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can mount file systems";
  if (Bun.which("mount") === null) return "mount is not installed";
  if (makeExt4 === null) return "mkfs.ext4 is not installed";
  try {
    for (const open of [() => memoryDisk("size=1m"), () => ext4Disk(8)]) await (await open())[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return `nothing can be mounted: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** In memory; `options` as `mount -o` takes them: `size=32m,nr_inodes=400`. */
export const memoryDisk = (options: string): Promise<RealDisk> =>
  mountAt((at) => must("mount", "-t", "tmpfs", "-o", options, "tmpfs", at));

/** ext4 in a file. */
export async function ext4Disk(megabytes: number): Promise<RealDisk> {
  return mountAt(
    (at, folder) => must("mount", "-o", "loop", join(folder, "image"), at),
    async (folder) => {
      await must("truncate", "-s", `${String(megabytes)}M`, join(folder, "image"));
      await must(makeExt4 ?? "mkfs.ext4", "-q", "-F", join(folder, "image"));
    },
  );
}

async function mountAt(
  mountOn: (at: string, folder: string) => Promise<void>,
  prepare: (folder: string) => Promise<void> = async () => undefined,
): Promise<RealDisk> {
  const folder = await mkdtemp(join(tmpdir(), "berth-disk-"));
  const at = join(folder, "mounted");
  const [data, filler] = [join(at, "data"), join(at, "filler")];
  await mkdir(at);
  try {
    await prepare(folder);
    await mountOn(at, folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    data,
    remount: (options) => must("mount", "-o", `remount,${options}`, at),
    unmount: () => must("umount", at),
    mount: () => mountOn(at, folder),
    async leaveFree(bytes) {
      await rm(filler, { force: true });
      if (bytes === "all") return;
      const { bavail, bsize } = await statfs(at);
      // The last of it may be less than what the file system counts for itself.
      await writeFile(filler, new Uint8Array(Math.max(0, bavail * bsize - bytes))).catch(() => undefined);
    },
    async [Symbol.asyncDispose]() {
      await run("umount", "-l", at);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
