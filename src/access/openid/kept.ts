import { IssuerUnavailable } from "./issuer-unavailable.ts";

/** What an issuer has told of itself. @throws IssuerUnavailable */
export interface Kept<T> {
  /** From memory for a while. */
  current(): Promise<T>;
  /** Asked for again, as there is something that the one in memory does not know; `undefined`: it was just asked. */
  renewed(): Promise<T | undefined>;
}

interface KeptDeps {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Why it does not answer, when that begins; `undefined` when it answers again. */
  readonly onState: (problem: string | undefined) => void;
}

const keptMs = 10 * 60_000;
/** Anyone can name a key that nobody knows. */
const renewedAfterMs = 30_000;
const retriedAfterMs = 5000;

/** All who wait for it wait for one answer; one that does not answer is left alone for a moment. */
export function kept<T>(load: () => Promise<T>, { now, onState }: KeptDeps): Kept<T> {
  let known: { readonly value: T; readonly at: number } | undefined;
  let failed: { readonly error: IssuerUnavailable; readonly at: number } | undefined;
  let loading: Promise<T> | undefined;
  // A clock that was set back says nothing of how old anything is.
  const isWithin = (at: number, forMs: number): boolean => now() >= at && now() - at < forMs;
  const ask = async (): Promise<T> => {
    try {
      const value = await load();
      known = { value, at: now() };
      if (failed !== undefined) onState(undefined);
      failed = undefined;
      return value;
    } catch (error) {
      if (!(error instanceof IssuerUnavailable)) throw error;
      if (failed === undefined) onState(error.message);
      failed = { error, at: now() };
      throw error;
    }
  };
  const reload = async (): Promise<T> => {
    if (failed !== undefined && isWithin(failed.at, retriedAfterMs)) throw failed.error;
    loading ??= ask().finally(() => (loading = undefined));
    return loading;
  };
  return {
    current: async () => (known !== undefined && isWithin(known.at, keptMs) ? known.value : reload()),
    renewed: async () => (known !== undefined && isWithin(known.at, renewedAfterMs) ? undefined : reload()),
  };
}
