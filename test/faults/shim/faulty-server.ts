import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ServerOptions, startServer, type TestServer } from "../../support/server.ts";

const berth = resolve(import.meta.dir, "../../../bin/berth");
const source = join(import.meta.dir, "fault.c");

export const errors = { EIO: 5, EMFILE: 24, ENOSPC: 28, EROFS: 30, EDQUOT: 122 } as const;

export interface Fault {
  /** Counted from the moment of arming, over the calls that the fault is about. */
  readonly call: number;
  readonly error: keyof typeof errors;
  /** Whether every call behind it fails as well until `disarm`, or none of them gets an answer before. */
  readonly lasts: "once" | "on" | "hang";
  /** Which calls: all that change something below the data folder, those that read, or some by their names. */
  readonly calls?: "changes" | "reads" | (string & {});
  /** Which files: those that have this in their path below the data folder; with a `$` behind, at its end. */
  readonly files?: string;
}

export interface Disarmed {
  readonly seen: number;
  readonly failed: number;
  /** Name of the first system call that failed. */
  readonly first: string;
}

export interface FaultyServer extends AsyncDisposable {
  readonly server: TestServer;
  arm(fault: Fault): Promise<void>;
  disarm(): Promise<Disarmed>;
}

/** Why no server's calls can be made to fail here. */
export function missingForFaults(): string | undefined {
  if (process.platform !== "linux") return "system calls can be made to fail on Linux alone";
  return Bun.which("cc") === null ? "a C compiler (cc) is not installed" : undefined;
}

/** A server on a data folder of its own, whose system calls fail when they are told to. */
export async function startFaulty(options: Pick<ServerOptions, "env"> = {}): Promise<FaultyServer> {
  const folder = await mkdtemp(join(tmpdir(), "berth-faults-"));
  const [program, binary, socket] = [join(folder, "fault"), join(folder, "faulty-berth"), join(folder, "socket")];
  const data = join(folder, "data");
  const compiled = Bun.spawnSync(["cc", "-O1", "-o", program, source]);
  if (!compiled.success) throw new Error(`cc: ${compiled.stderr.toString()}`);
  await writeFile(binary, `#!/bin/sh\nexec '${program}' '${socket}' '${data}' '${berth}' "$@"\n`);
  await chmod(binary, 0o755);
  // What requests do, and not what a job does beside them, unless that is what is looked at.
  const env = { BERTH_JOURNAL_INTERVAL_SECONDS: "3600", ...options.env };
  const server = await startServer({ ...options, data, binary, env });
  const control = connect(socket);
  await once(control, "connect");
  return {
    server,
    async arm({ call, error, lasts, calls = "changes", files = "-" }) {
      await ask(control, `arm ${String(call)} ${String(errors[error])} ${lasts} ${calls} ${files}`);
    },
    async disarm() {
      const [seen, failed, first = ""] = (await ask(control, "disarm")).split(" ");
      return { seen: Number(seen), failed: Number(failed), first };
    },
    async [Symbol.asyncDispose]() {
      control.destroy();
      await server.stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ask(control: Socket, line: string): Promise<string> {
  control.write(`${line}\n`);
  const [answer] = (await once(control, "data")) as [Buffer];
  return answer.toString().trim();
}
