import { writeFileSync } from "node:fs";
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
    XDG_RUNTIME_DIR: join(folder, "runtime"),
  };
  return {
    run: (args, options) => run([program, ...global, ...args], { env, ...options }),
    refused: (args, options) => runRefused([program, ...global, ...args], { env, ...options }),
  };
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
