import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { withoutSettings } from "../../support/server.ts";

const berth = resolve(import.meta.dir, "../../../bin/berth");
const source = join(import.meta.dir, "fault.c");

export interface KilledCommand {
  readonly args: readonly string[];
  /** Its calls on files below this folder are counted. */
  readonly data: string;
  /** Which of the calls that change something there is the last one it begins. */
  readonly call: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** What it says once there is nothing more to wait for: it is ended then, as far as it came. */
  readonly until?: string;
}

export interface Killer extends AsyncDisposable {
  /** Runs a command of Berth up to that call. @returns whether it came so far, and did not end by itself before */
  run(command: KilledCommand): Promise<boolean>;
}

export async function buildKiller(): Promise<Killer> {
  const folder = await mkdtemp(join(tmpdir(), "berth-killer-"));
  const program = join(folder, "fault");
  const compiled = Bun.spawnSync(["cc", "-O1", "-o", program, source]);
  if (!compiled.success) throw new Error(`cc: ${compiled.stderr.toString()}`);
  let runs = 0;
  return {
    async run({ args, data, call, env = {}, input = "", until }) {
      runs += 1;
      const child = Bun.spawn([program, join(folder, `socket-${String(runs)}`), data, berth, ...args], {
        env: { ...withoutSettings(process.env), ...env, FAULT_KILL_AT: String(call) },
        stdin: new Blob([input]),
        stdout: "pipe",
        stderr: "ignore",
      });
      let output = "";
      for await (const chunk of child.stdout) {
        output += new TextDecoder().decode(chunk);
        if (until !== undefined && output.includes(until)) child.kill("SIGKILL");
      }
      const code = await child.exited;
      return child.signalCode === null && code === 128 + 9;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
