import pino from "pino";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One JSON object a line; `event` says what happened. Secrets are never among the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  /** With the error's stack: for what is a bug, or broken below us. */
  error(event: string, error: unknown, fields?: LogFields): void;
}

export function openLog(level: LogLevel): Log {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 1, sync: true }),
  );
  return {
    debug: (event, fields = {}) => logger.debug(fields, event),
    info: (event, fields = {}) => logger.info(fields, event),
    warn: (event, fields = {}) => logger.warn(fields, event),
    error(event, error, fields = {}) {
      const stack = error instanceof Error ? error.stack : String(error);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : undefined;
      logger.error({ ...fields, error: stack, cause }, event);
    },
  };
}
