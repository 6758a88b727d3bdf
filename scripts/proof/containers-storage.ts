import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

/** Images, credentials and settings of podman, skopeo and buildah, for documents that use them. */
export interface ContainersStorage extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
}

/** The machine's own images are left alone, and nothing is asked of its kernel or its systemd. */
export async function makeContainersStorage(): Promise<ContainersStorage> {
  const folder = await mkdtemp(join(tmpdir(), "berth-storage-"));
  const root = join(folder, "storage");
  const storage = `[storage]\ndriver = "vfs"\ngraphroot = "${root}"\nrunroot = "${folder}/run"\n`;
  const engine = `[engine]\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\ntmp_dir = "${folder}/tmp"\n`;
  await Bun.write(join(folder, "storage.conf"), storage);
  await Bun.write(join(folder, "containers.conf"), engine);
  return {
    env: {
      CONTAINERS_STORAGE_CONF: join(folder, "storage.conf"),
      CONTAINERS_CONF: join(folder, "containers.conf"),
    },
    async [Symbol.asyncDispose]() {
      // They mount the storage onto itself. Where they never ran there is nothing to unmount.
      if (Bun.which("umount") !== null) await run(["umount", "--recursive", root], { cwd: "/" });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
