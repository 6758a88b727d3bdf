import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fixture } from "./fixture.ts";
import { attempt, type Outcome, run, type RunOptions, runRefused } from "./run.ts";

/** A program of the containers project, with its storage, credentials and temporary files inside the fixture. */
export interface ContainersTool {
  readonly run: (args: readonly string[], options?: RunOptions) => Promise<Outcome>;
  readonly refused: (args: readonly string[], options?: RunOptions) => Promise<string>;
}

/** `global` goes before every command. */
export function containersTool(program: string, fixture: Fixture, global: readonly string[]): ContainersTool {
  const { folder } = fixture;
  const credentials = join(folder, "auth.json");
  writeFileSync(credentials, "{}");
  const env = {
    REGISTRY_AUTH_FILE: credentials,
    TMPDIR: folder,
    XDG_DATA_HOME: join(folder, "data"),
    XDG_RUNTIME_DIR: join(folder, "runtime"),
  };
  const command = [...withOwnBlobCache(folder), program, ...global];
  return {
    run: (args, options) => run([...command, ...args], { env, ...options }),
    refused: (args, options) => runRefused([...command, ...args], { env, ...options }),
  };
}

const sharedBlobCache = "/var/lib/containers/cache";

/**
 * What these programs know of blobs in registries decides what they try to mount, and the superuser's knowledge lies
 * where no option moves it: a mount of the command's own puts the fixture's in its place. All others keep it below
 * XDG_DATA_HOME.
 */
function withOwnBlobCache(folder: string): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const own = join(folder, "blob-cache");
  mkdirSync(own, { recursive: true });
  mkdirSync(sharedBlobCache, { recursive: true });
  const script = `mount --bind "$0" ${sharedBlobCache} && exec "$@"`;
  return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, own];
}

/** Storage that needs no kernel module; unmounted at the end, before the folder goes. */
export function storageIn(program: string, fixture: Fixture): readonly string[] {
  const root = join(fixture.folder, "storage");
  const global = ["--storage-driver", "vfs", "--root", root, "--runroot", join(fixture.folder, "run")];
  fixture.cleanup.defer(async () => {
    await attempt([program, ...global, "rm", "--all"]);
    await attempt(["umount", "--recursive", root]);
  });
  return global;
}
