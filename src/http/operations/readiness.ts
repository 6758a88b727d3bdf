import type { Log } from "../../platform/telemetry/log.ts";

/** Something that the server cannot do its work without. */
export interface ReadinessCheck {
  readonly name: string;
  /** What is wrong with it, in words that anyone may read. */
  readonly problem: () => Promise<string | undefined>;
}

export interface Reason {
  readonly check: string;
  readonly reason: string;
}

export type Phase = "starting" | "running" | "stopping";

export interface Readiness {
  /** Why the server should get no requests; none when it should. */
  reasons(): Promise<readonly Reason[]>;
  enter(phase: Phase, checks?: readonly ReadinessCheck[]): void;
}

interface ReadinessSettings {
  /** How long an answer counts: whoever asks, the disk is not written to more often. */
  readonly freshMs: number;
  readonly timeoutMs: number;
}

const usual: ReadinessSettings = { freshMs: 5000, timeoutMs: 2000 };

/** Knows whether the server is ready, and logs when that changes. */
export function trackReadiness(log: Log, settings: ReadinessSettings = usual): Readiness {
  let phase: Phase = "starting";
  let checks: readonly ReadinessCheck[] = [];
  let latest: { readonly at: number; readonly reasons: Promise<readonly Reason[]> } | undefined;
  let wasReady = true;
  const running = new Map<ReadinessCheck, Promise<string | undefined>>();
  /** One that hangs is not asked again before it answers. */
  const problemOf = (one: ReadinessCheck): Promise<string | undefined> => {
    const asked = running.get(one) ?? one.problem().finally(() => running.delete(one));
    running.set(one, asked);
    return asked;
  };
  const reasonOf = async (one: ReadinessCheck): Promise<Reason | undefined> => {
    const reason = await within(settings.timeoutMs, problemOf(one));
    return reason === undefined ? undefined : { check: one.name, reason };
  };
  const check = async (): Promise<readonly Reason[]> => {
    const found = await Promise.all(checks.map(reasonOf));
    const reasons = found.filter((reason) => reason !== undefined);
    const isReady = reasons.length === 0;
    if (isReady !== wasReady) {
      if (isReady) log.info("ready again");
      else log.warn("not ready", { reasons: reasons.map(({ reason }) => reason).join("; ") });
    }
    wasReady = isReady;
    return reasons;
  };
  return {
    async reasons() {
      if (phase !== "running") return [{ check: "server", reason: `the server is ${phase}` }];
      const now = performance.now();
      if (latest === undefined || now - latest.at > settings.freshMs) latest = { at: now, reasons: check() };
      return latest.reasons;
    },
    enter(next, its) {
      phase = next;
      checks = its ?? checks;
    },
  };
}

async function within(timeoutMs: number, problem: Promise<string | undefined>): Promise<string | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
  try {
    return await Promise.race([problem, late]);
  } finally {
    clearTimeout(timer);
  }
}
