import { AcmeError } from "./acme-error.ts";

export interface Lifetime {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * When a certificate is to be replaced: with a third of its lifetime left, or a little more, so that not all that were
 * made in the same hour come back in the same hour. @param luck from 0 to 1
 */
export const renewalTime = ({ fromMs, untilMs }: Lifetime, luck: number): number =>
  Math.round(untilMs - (untilMs - fromMs) * (1 / 3 + luck / 30));

const secondMs = 1000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * How long to leave an authority alone after so many failures in a row: one that could not be asked at all for less than
 * one that has refused, which counts how often. @param luck from 0 to 1
 */
export function pauseAfter(error: unknown, failures: number, luck: number): number {
  const [firstMs, mostMs] = error instanceof AcmeError ? [60 * secondMs, 6 * hourMs] : [5 * secondMs, hourMs];
  const pauseMs = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30));
  const wishedMs = error instanceof AcmeError ? (error.retryAfterMs ?? 0) : 0;
  return Math.round(Math.max(pauseMs * (0.8 + 0.4 * luck), Math.min(wishedMs, dayMs)));
}
