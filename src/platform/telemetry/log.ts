import pino from "pino";
import { type BufferedOutput, bufferedOutput } from "./buffered-output.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One JSON object a line; `event` says what happened. Secrets are never among the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
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

/** @param always on every line */
export function openLog(level: LogLevel, output = standardOutput(), always: LogFields = {}): Log {
  const logger = pino(
    {
      level,
      base: { ...always },
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  );
  return {
    debug: (event, fields = {}) => logger.debug(fields, event),
    info: (event, fields = {}) => logger.info(fields, event),
    warn(event, fields = {}) {
      logger.warn(fields, event);
      output.flush();
    },
    error(event, error, fields = {}) {
      const stack = error instanceof Error ? error.stack : String(error);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined;
      logger.error({ ...fields, error: stack, cause }, event);
      output.flush();
    },
    flush: () => output.flush(),
    drain: () => output.drain(),
    flushSync: () => output.flushSync(),
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
