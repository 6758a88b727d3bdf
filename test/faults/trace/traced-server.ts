import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ServerOptions, startServer, type TestServer } from "../../support/server.ts";
import { type DiskEvent, diskEvents, parseTrace, tracedCalls } from "./parse-trace.ts";

const berth = resolve(import.meta.dir, "../../../bin/berth");

/** Longer than any one write of the server. */
const mostTextBytes = 4 * 1024 * 1024;

export interface TracedServer extends AsyncDisposable {
  readonly server: TestServer;
  /** What the events are below; it was there, and durable, before the server. */
  readonly folder: string;
  /** Stops the server if it still runs, and tells what it did to its data folder, from its first moment on. */
  events(): Promise<readonly DiskEvent[]>;
}

/** Why no server can be traced here. */
export const missingStrace = (): string | undefined =>
  Bun.which("strace") === null ? "strace is not installed" : undefined;

/** A server under strace, on a data folder that it makes itself. */
export async function startTraced(options: Pick<ServerOptions, "env"> = {}): Promise<TracedServer> {
  const folder = await mkdtemp(join(tmpdir(), "berth-trace-"));
  const [trace, binary, data] = [join(folder, "trace"), join(folder, "traced-berth"), join(folder, "parent", "data")];
  // With -D the tracer is the server's child, so that a signal to the process that was started reaches the server.
  const strace = `strace -D -f -y -v -xx -qq --seccomp-bpf -s ${String(mostTextBytes)} -e trace=${tracedCalls.join(",")}`;
  await writeFile(binary, `#!/bin/sh\nexec ${strace} -o '${trace}' '${berth}' "$@"\n`);
  await chmod(binary, 0o755);
  // What pushes do, and not what a job does beside them, unless that is what is looked at.
  const env = { BERTH_JOURNAL_INTERVAL_SECONDS: "3600", ...options.env };
  const server = await startServer({ ...options, data, binary, env });
  return {
    server,
    folder,
    async events() {
      await server.stop("SIGKILL");
      return diskEvents(parseTrace(await readEnded(trace)), folder);
    },
    async [Symbol.asyncDispose]() {
      await server.stop("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The tracer writes on for a moment after the server's end; its last line is that end. */
async function readEnded(path: string): Promise<string> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const text = await readFile(path, "latin1");
    if (/\+\+\+ (?:killed by|exited with)[^\n]*\n$/.test(text) && !(await grows(path, text.length))) return text;
    if (Date.now() > deadline) throw new Error("strace did not come to an end");
    await Bun.sleep(50);
  }
}

async function grows(path: string, size: number): Promise<boolean> {
  await Bun.sleep(100);
  return Bun.file(path).size > size;
}
