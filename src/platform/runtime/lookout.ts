/**
 * One clock for many: from the call of the function that this returns, `look` is run every so often, never twice at once,
 * until it says that there is nothing left to look at.
 */
export function lookout(everyMs: number, look: () => boolean | Promise<boolean>): () => void {
  let clock: NodeJS.Timeout | undefined;
  let isLooking = false;
  const once = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      if (await look()) return;
      clearInterval(clock);
      clock = undefined;
    } catch {
      // What could not be seen now is seen at the next look.
    } finally {
      isLooking = false;
    }
  };
  return () => {
    clock ??= setInterval(() => void once(), everyMs);
  };
}
