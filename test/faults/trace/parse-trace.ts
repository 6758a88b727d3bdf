/** A system call of the server as strace saw it. Calls of several threads overlap: `began` and `ended` order them. */
export interface Syscall {
  readonly name: string;
  /** As strace prints them, every text in hexadecimal. */
  readonly args: readonly string[];
  /** What the call gave back; `undefined` for one that never returned. */
  readonly result: number | undefined;
  /** Line of the trace at which the call began and ended. */
  readonly began: number;
  readonly ended: number;
}

/** What a call did to files below the data folder, or said to a client. Paths are absolute. */
export type DiskEvent = { readonly began: number; readonly ended: number } & (
  | {
      readonly kind: "open";
      readonly path: string;
      readonly creates: boolean;
      readonly truncates: boolean;
      /** Whether a write to it is durable when it returns. */
      readonly isDurable: boolean;
      readonly fd: number;
    }
  | {
      readonly kind: "write";
      readonly path: string;
      readonly fd: number;
      readonly bytes: Buffer;
      readonly offset: number | undefined;
    }
  | { readonly kind: "cut"; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: "sync"; readonly path: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "link"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "answer"; readonly status: number }
);

/** What strace has to be asked for, so that nothing which changes a file is missed. */
export const tracedCalls = [
  ..."open openat creat write pwrite64 writev pwritev pwritev2 sendto sendmsg fsync fdatasync sync_file_range".split(
    " ",
  ),
  ..."rename renameat renameat2 link linkat unlink unlinkat rmdir ftruncate truncate mkdir mkdirat".split(" "),
  ..."fallocate copy_file_range sendfile".split(" "),
] as const;

const whole = /^(\d+) (\w+)\((.*)\)\s+= (-?\d+|\?)/;
const unfinished = /^(\d+) (\w+)\((.*) <unfinished \.\.\.>$/;
const resumed = /^(\d+) <\.\.\. (\w+) resumed>(.*)\)\s+= (-?\d+|\?)/;

/** Reads what `strace -f -y -xx` wrote. */
export function parseTrace(text: string): readonly Syscall[] {
  const calls: Syscall[] = [];
  const begun = new Map<string, { readonly name: string; readonly args: string; readonly began: number }>();
  for (const [line, content] of text.split("\n").entries()) {
    const part = content.replace(/^(\d+)\s+/, "$1 ");
    const [, beginner, beginnerName, firstArgs] = unfinished.exec(part) ?? [];
    if (beginner !== undefined) {
      begun.set(beginner, { name: beginnerName ?? "", args: firstArgs ?? "", began: line });
      continue;
    }
    const [, ender, , lastArgs, endResult] = resumed.exec(part) ?? [];
    if (ender !== undefined) {
      const start = begun.get(ender);
      begun.delete(ender);
      if (start === undefined) throw new Error(`line ${String(line + 1)} ends a call that never began`);
      calls.push(toCall({ ...start, args: start.args + (lastArgs ?? ""), result: endResult ?? "?", ended: line }));
      continue;
    }
    const [, pid, name, args, result] = whole.exec(part) ?? [];
    if (pid === undefined) continue;
    calls.push(toCall({ name: name ?? "", args: args ?? "", result: result ?? "?", began: line, ended: line }));
  }
  for (const start of begun.values()) calls.push(toCall({ ...start, result: "?", ended: Number.POSITIVE_INFINITY }));
  return calls.toSorted((a, b) => a.ended - b.ended);
}

interface RawCall {
  readonly name: string;
  readonly args: string;
  readonly result: string;
  readonly began: number;
  readonly ended: number;
}

/** With every text in hexadecimal, a comma is always one between arguments. */
const toCall = ({ args, result, ...call }: RawCall): Syscall => ({
  ...call,
  args: args.split(", "),
  result: result === "?" ? undefined : Number(result),
});

const hex = /\\x([0-9a-f]{2})/g;
const unescape = (text: string): Buffer =>
  Buffer.from(Array.from(text.matchAll(hex), ([, digits]) => digits ?? "").join(""), "hex");

const textOf = (arg: string | undefined): string => unescape(/^"(.*)"/.exec(arg ?? "")?.[1] ?? "").toString();

/** `5</folder/file>`: the descriptor and what it is open on. */
function descriptorOf(arg: string | undefined): { readonly fd: number; readonly path: string } {
  const [, fd, path] = /^(-?\d+)<([^>]*)>/.exec(arg ?? "") ?? [];
  return { fd: Number(fd ?? -1), path: unescape(path ?? "").toString() };
}

function bytesOf(arg: string | undefined): Buffer {
  const [, text] = /^"([^"]*)"$/.exec(arg ?? "") ?? [];
  if (text === undefined) throw new Error(`strace cut the bytes of a write short: ${(arg ?? "").slice(-40)}`);
  return unescape(text);
}

/** `[{iov_base="...", iov_len=3}, ...], 2, 0`: what is written, of how many parts, and where. */
function vectorOf(args: readonly string[]): Buffer {
  const parts = args
    .filter((arg) => arg.includes("{iov_base="))
    .map((arg) => bytesOf(arg.replace(/^\[?\{iov_base=/, "")));
  if (parts.length !== Number(args.at(-2))) throw new Error("strace left out parts of a write");
  return Buffer.concat(parts);
}

const answerLine = /^HTTP\/1\.1 (\d{3}) /;

/** The events below `folder`, and the answers; in the order in which the calls ended. Calls that failed did nothing. */
export function diskEvents(calls: readonly Syscall[], folder: string): readonly DiskEvent[] {
  const inside = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
  const durable = new Set<number>();
  return calls.flatMap((call): readonly DiskEvent[] => {
    const event = toEvent(call, inside);
    if (event === undefined) return [];
    const timed: DiskEvent = { ...event, began: call.began, ended: call.ended };
    if (timed.kind === "open" && timed.isDurable) durable.add(timed.fd);
    if (timed.kind === "open" && !timed.isDurable) durable.delete(timed.fd);
    if (timed.kind !== "write" || !durable.has(timed.fd)) return [timed];
    // Between this line of the trace and the next.
    return [timed, { kind: "sync", path: timed.path, began: timed.ended + 0.25, ended: timed.ended + 0.5 }];
  });
}

type Untimed<E> = E extends DiskEvent ? Omit<E, "began" | "ended"> : never;

function toEvent(call: Syscall, inside: (path: string) => boolean): Untimed<DiskEvent> | undefined {
  const { name, args, result } = call;
  if (name === "sendto" || name === "sendmsg") {
    const [, status] = answerLine.exec(unescape((args[1] ?? "").slice(0, 4000)).toString("latin1")) ?? [];
    return status === undefined ? undefined : { kind: "answer", status: Number(status) };
  }
  if (result === undefined || result < 0) return undefined;
  const path = pathOf(call);
  if (path === undefined || !inside(path)) return undefined;
  switch (name) {
    case "open":
    case "openat": {
      const flags = args[name === "open" ? 1 : 2] ?? "";
      return {
        kind: "open",
        path,
        creates: flags.includes("O_CREAT"),
        truncates: flags.includes("O_TRUNC"),
        isDurable: flags.includes("O_DSYNC"),
        fd: result,
      };
    }
    case "write":
    case "pwrite64": {
      const offset = name === "pwrite64" ? Number(args[3]) : undefined;
      return { kind: "write", path, fd: descriptorOf(args[0]).fd, bytes: bytesOf(args[1]).subarray(0, result), offset };
    }
    case "pwritev": {
      const bytes = vectorOf(args).subarray(0, result);
      return { kind: "write", path, fd: descriptorOf(args[0]).fd, bytes, offset: Number(args.at(-1)) };
    }
    case "ftruncate":
      return { kind: "cut", path, sizeBytes: Number(args[1]) };
    case "fsync":
    case "fdatasync":
      return { kind: "sync", path };
    case "rename":
    case "link":
      return { kind: name, from: textOf(args[0]), to: path };
    case "unlink":
      return { kind: "remove", path };
    case "mkdir":
      return { kind: "folder", path };
    default:
      throw new Error(`${name} changes ${path} in a way that the trace does not follow`);
  }
}

/** What a call is about; of two names, the new one. */
function pathOf({ name, args }: Syscall): string | undefined {
  switch (name) {
    case "open":
    case "unlink":
    case "rmdir":
    case "mkdir":
    case "creat":
    case "truncate":
      return textOf(args[0]);
    case "rename":
    case "link":
    case "openat":
    case "unlinkat":
    case "mkdirat":
      return textOf(args[1]);
    case "renameat":
    case "renameat2":
    case "linkat":
      return textOf(args[3]);
    default:
      return descriptorOf(args[0]).path;
  }
}
