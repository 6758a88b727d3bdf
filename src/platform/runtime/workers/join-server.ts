import { openLibc } from "../libc.ts";
import { type Answers, type Channel, openChannel } from "./channel.ts";

const beatMs = 500;
const setParentDeathSignal = 1;
const sigkill = 9n;

/**
 * Makes this process one of a server's: it answers the one that started it, shows it that it lives, and ends with it.
 * @returns undefined for a process that nobody started as a worker
 */
export function joinServer(answers: Answers): Channel | undefined {
  const send = process.send?.bind(process);
  if (send === undefined) return undefined;
  // For one that hangs; whoever does not is told by the end of the channel.
  openLibc()?.prctl(setParentDeathSignal, sigkill, 0n, 0n, 0n);
  // A terminal and a service manager signal every process; what is to be done is said by the one that started this.
  // SIGXFSZ: a limit on the size of files is for the write to tell; who starts a process cannot keep it ignored there.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGXFSZ"] as const) process.on(signal, () => {});
  const channel = openChannel((message) => void send(message), answers);
  process.on("message", (message) => channel.receive(message));
  process.on("disconnect", () => process.exit(1));
  setInterval(() => void channel.call("beat").catch(() => {}), beatMs);
  return channel;
}
