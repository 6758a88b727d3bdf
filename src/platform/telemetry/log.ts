import { type BufferedOutput, bufferedOutput } from "./buffered-output.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One JSON object a line; `event` says what happened. Secrets are never among the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  /** What happens all the time gives a function, which is asked when the line is written, a moment later. */
  info(event: string, fields?: LogFields | (() => LogFields)): void;
  /** Written at once, with all that came before it; as errors are. */
  warn(event: string, fields?: LogFields): void;
  /** With the error's stack: for what is a bug, or broken below us. */
  error(event: string, error: unknown, fields?: LogFields): void;
  /** Hands on what has gathered, without waiting for more. */
  flush(): void;
  /** The same, and resolves when it is out. */
  drain(): Promise<void>;
  /** For the end of the process, where nothing can be waited for. */
  flushSync(): void;
}

const standardOutputDescriptor = 1;
const limits = {
  intervalMs: 200,
  batchLength: 64 * 1024,
  mostLength: 16 * 1024 * 1024,
  omitted: (lines: number): string =>
    `${JSON.stringify({ level: "warn", time: new Date().toISOString(), lines, event: "log lines left out" })}\n`,
};

/** Lines gather for a moment: a write for each would cost more than many a request. */
export const standardOutput = (): BufferedOutput => bufferedOutput(standardOutputDescriptor, limits);

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** @param always on every line */
export function openLog(level: LogLevel, output = standardOutput(), always: LogFields = {}): Log {
  const shown: ReadonlySet<LogLevel> = new Set(levels.slice(levels.indexOf(level)));
  const timeNow = clock();
  const shared = membersOf(always);
  const write = (of: LogLevel, event: string, fields: LogFields | (() => LogFields)): void => {
    if (!shown.has(of)) return;
    const begins = `{"level":"${of}","time":"${timeNow()}",${shared}`;
    const ends = `"event":${JSON.stringify(event)}}\n`;
    if (typeof fields === "object") output.write(`${begins}${membersOf(fields)}${ends}`);
    else output.write(() => `${begins}${membersOf(fields())}${ends}`);
  };
  return {
    debug: (event, fields = {}) => write("debug", event, fields),
    info: (event, fields = {}) => write("info", event, fields),
    warn(event, fields = {}) {
      write("warn", event, fields);
      output.flush();
    },
    error(event, error, fields = {}) {
      const stack = error instanceof Error ? error.stack : String(error);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined;
      write("error", event, { ...fields, error: stack, cause });
      output.flush();
    },
    flush: () => output.flush(),
    drain: () => output.drain(),
    flushSync: () => output.flushSync(),
  };
}

/** As they stand in an object, with a comma behind each. */
const membersOf = (fields: LogFields): string => {
  const text = JSON.stringify(fields);
  return text === "{}" ? "" : `${text.slice(1, -1)},`;
};

/** The time as text, which many lines of the same millisecond share. */
function clock(): () => string {
  let [atMs, text] = [0, ""];
  return () => {
    const now = Date.now();
    if (now !== atMs) [atMs, text] = [now, new Date(now).toISOString()];
    return text;
  };
}

/** However the process ends, but for SIGKILL, what was logged is written; a crash is logged first. */
export function flushAtEnd(log: Log): void {
  const crash = (error: unknown): void => {
    log.error("crashed", error);
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
  process.on("exit", () => log.flushSync());
}
