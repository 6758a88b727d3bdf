import { SourceUnavailable } from "./source.ts";

export interface BreakerSettings {
  /** Failures one after the other until it opens. */
  readonly failures: number;
  /** How long it stays open at first; twice as long each time that it is tried in vain. */
  readonly restMs: number;
  readonly mostRestMs: number;
}

export interface BreakerDeps {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Once, when it opens, and not again until it has closed. */
  readonly onOpen: (error: SourceUnavailable) => void;
  readonly onClose: () => void;
}

export interface CircuitBreaker {
  /** @throws SourceUnavailable at once while it is open */
  run<T>(work: () => Promise<T>): Promise<T>;
  readonly isOpen: boolean;
}

const usual: BreakerSettings = { failures: 3, restMs: 5000, mostRestMs: 60_000 };

/** Keeps away from what does not answer: who asks learns so at once, and one at a time tries it again. */
export function circuitBreaker({ now, onOpen, onClose }: BreakerDeps, settings = usual): CircuitBreaker {
  let failures = 0;
  let restMs = settings.restMs;
  let openUntil: number | undefined;
  let trying = false;
  const fail = (error: SourceUnavailable, isTrial: boolean): void => {
    failures++;
    if (isTrial) {
      restMs = Math.min(settings.mostRestMs, restMs * 2);
      openUntil = now() + restMs;
    } else if (openUntil === undefined && failures >= settings.failures) {
      openUntil = now() + restMs;
      onOpen(error);
    }
  };
  const succeed = (): void => {
    if (openUntil !== undefined) onClose();
    failures = 0;
    restMs = settings.restMs;
    openUntil = undefined;
  };
  return {
    get isOpen() {
      return openUntil !== undefined;
    },
    async run(work) {
      const isTrial = openUntil !== undefined;
      if (openUntil !== undefined && (trying || now() < openUntil))
        throw new SourceUnavailable("it did not answer before");
      trying = isTrial || trying;
      try {
        const result = await work();
        succeed();
        return result;
      } catch (error) {
        if (error instanceof SourceUnavailable) fail(error, isTrial);
        throw error;
      } finally {
        if (isTrial) trying = false;
      }
    },
  };
}
