import type { ListeningSocket } from "../listening-socket.ts";
import { type Answers, type Channel, openChannel } from "./channel.ts";

export interface WorkerProcess {
  readonly pid: number;
  readonly channel: Channel;
  /** Resolves when it is no more, and all that it wrote has been handed on: its exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** At once, whatever it does. */
  kill(): void;
}

export interface WorkerCommand {
  /** Arguments of this very program. */
  readonly args: readonly string[];
  readonly socket: ListeningSocket;
  /** Takes each whole line of its standard output, with its end. */
  readonly onLine: (line: string) => void;
}

/** The descriptor under which a worker has the shared socket. */
export const sharedDescriptor = 3;

/** This program from a checkout, or the one executable. */
const program = (): readonly string[] =>
  Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, ...process.execArgv, Bun.main];

export function startWorkerProcess({ args, socket, onLine }: WorkerCommand, answers: Answers): WorkerProcess {
  const child = Bun.spawn([...program(), ...args], {
    stdio: ["ignore", "pipe", "inherit", socket.descriptor],
    serialization: "json",
    ipc: (message) => channel.receive(message),
  });
  const channel = openChannel((message) => {
    // Where it has gone away meanwhile, its end is told in another way.
    if (child.exitCode === null && child.signalCode === null) child.send(message);
  }, answers);
  const output = readLines(child.stdout, onLine);
  const ended = async (): Promise<number | string> => {
    await child.exited;
    channel.close();
    await output;
    return child.signalCode ?? child.exitCode ?? "an unknown end";
  };
  return { pid: child.pid, channel, ended: ended(), kill: () => child.kill("SIGKILL") };
}

/** What has no end when the process ends is no line. */
async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(`${line}\n`);
  }
}
