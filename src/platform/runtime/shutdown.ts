/** A terminal and npm both hand one Ctrl-C to the process: what comes so close together is one. */
const togetherMs = 500;

const signals = ["SIGINT", "SIGTERM"] as const;

/** Resolves with the signal that asks this process to end; a second one ends it at once. */
export function untilShutdown(more: readonly "SIGHUP"[] = []): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let askedAt: number | undefined;
    const onSignal = (signal: NodeJS.Signals): void => {
      const now = performance.now();
      if (askedAt !== undefined && now - askedAt > togetherMs) process.exit(130);
      askedAt ??= now;
      resolve(signal);
    };
    for (const signal of [...signals, ...more]) process.on(signal, onSignal);
  });
}
