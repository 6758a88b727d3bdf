import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ServerOptions, startServer, type TestServer } from "../../support/server.ts";

const berth = resolve(import.meta.dir, "../../../bin/berth");
const source = join(import.meta.dir, "fault.c");

export const errors = { EIO: 5, ENOSPC: 28, EROFS: 30 } as const;

export interface Fault {
  /** Counted from the moment of arming, over all calls that change something below the data folder. */
  readonly call: number;
  readonly error: keyof typeof errors;
  /** Whether every call behind it fails as well, until `disarm`. */
  readonly stays: boolean;
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

interface FaultyOptions extends Pick<ServerOptions, "env"> {
  /** The folder of the data folder whose calls are meant; all of it, where none is named. */
  readonly below?: string;
}

/** A server on a data folder of its own, whose system calls fail when they are told to. */
export async function startFaulty({ below = "", ...options }: FaultyOptions = {}): Promise<FaultyServer> {
  const folder = await mkdtemp(join(tmpdir(), "berth-faults-"));
  const [program, binary, socket] = [join(folder, "fault"), join(folder, "faulty-berth"), join(folder, "socket")];
  const data = join(folder, "data");
  const compiled = Bun.spawnSync(["cc", "-O1", "-o", program, source]);
  if (!compiled.success) throw new Error(`cc: ${compiled.stderr.toString()}`);
  await writeFile(binary, `#!/bin/sh\nexec '${program}' '${socket}' '${join(data, below)}' '${berth}' "$@"\n`);
  await chmod(binary, 0o755);
  const server = await startServer({ ...options, data, binary });
  const control = connect(socket);
  await once(control, "connect");
  return {
    server,
    async arm({ call, error, stays }) {
      await ask(control, `arm ${String(call)} ${String(errors[error])} ${stays ? "on" : "once"}`);
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
