import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CertificateError, readCertificate } from "../certificates/certificate.ts";
import { type AccountWish, findAccount, loadAccountKey } from "./account.ts";
import { type AcmeFolder, type AcmeStatus } from "./acme-folder.ts";
import { type Ask, openAuthority } from "./authority.ts";
import type { Responder } from "./challenge.ts";
import { obtainCertificate } from "./order.ts";
import { type Lifetime, pauseAfter, renewalTime } from "./renewal-time.ts";

export interface AcmeWish extends AccountWish {
  readonly directoryUrl: string;
  readonly hosts: readonly string[];
}

export interface AcmeDeps {
  readonly folder: AcmeFolder;
  readonly ask: Ask;
  readonly responder: Responder;
  readonly onObtained: (lifetime: Lifetime) => void;
  readonly onFailed: (error: unknown, status: AcmeStatus) => void;
}

export interface CertificateKeeper {
  readonly status: () => AcmeStatus;
  /** Breaks off what runs. */
  stop(): Promise<void>;
}

/** A clock that is set, or a machine that slept, is noticed this soon. */
const longestSleepMs = 60_000;

/** Has a certificate from an authority for as long as it runs, and renews it in time; the folder has it for whoever looks. */
export function keepCertificate(wish: AcmeWish, deps: AcmeDeps): CertificateKeeper {
  const ending = new AbortController();
  let status: AcmeStatus = { failures: 0 };
  const running = run(wish, deps, {
    signal: ending.signal,
    async note(next) {
      status = next;
      // What is only told is not worth an end: the disk that refuses it here is told of by the attempt itself.
      await deps.folder.writeStatus(next).catch(() => undefined);
    },
  }).catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
  return {
    status: () => status,
    async stop() {
      ending.abort();
      await running;
    },
  };
}

interface Course {
  readonly signal: AbortSignal;
  readonly note: (status: AcmeStatus) => Promise<void>;
}

async function run(wish: AcmeWish, deps: AcmeDeps, { signal, note }: Course): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    try {
      const lifetime = await keptLifetime(deps.folder.certificateFile, wish.hosts);
      const dueMs = lifetime === undefined ? 0 : renewalTime(lifetime, Math.random());
      if (failures === 0) await note({ failures, nextAttemptAtMs: Math.max(dueMs, Date.now()) });
      await sleepUntil(dueMs, signal);
      await attempt(wish, deps, signal);
      failures = 0;
      const obtained = await keptLifetime(deps.folder.certificateFile, wish.hosts);
      if (obtained !== undefined) deps.onObtained(obtained);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      const failedAtMs = Date.now();
      const nextAttemptAtMs = failedAtMs + pauseAfter(error, failures, Math.random());
      const reason = error instanceof Error ? error.message : String(error);
      const status = { failures, failedAtMs, reason, nextAttemptAtMs };
      await note(status);
      deps.onFailed(error, status);
      await sleepUntil(nextAttemptAtMs, signal);
    }
  }
}

async function attempt(wish: AcmeWish, { folder, ask, responder }: AcmeDeps, signal: AbortSignal): Promise<void> {
  const key = await loadAccountKey(folder);
  const authority = await openAuthority({ directoryUrl: wish.directoryUrl, ask, key, signal });
  const account = await findAccount(authority, key, wish);
  await obtainCertificate({ authority, account, key, folder, responder, signal }, wish.hosts);
}

/** @throws AbortError where the signal comes first */
async function sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = atMs - Date.now(); leftMs > 0; leftMs = atMs - Date.now())
    await sleep(Math.min(leftMs, longestSleepMs), undefined, { signal });
}

/** Of the certificate that is kept, where it is for these hosts; one that is missing or damaged is none. */
export async function keptLifetime(file: string, hosts: readonly string[]): Promise<Lifetime | undefined> {
  try {
    const { certPem } = await readCertificate({ certFile: file, keyFile: file });
    const certificate = new X509Certificate(certPem);
    if (hosts.some((host) => certificate.checkHost(host) === undefined)) return undefined;
    return { fromMs: certificate.validFromDate.getTime(), untilMs: certificate.validToDate.getTime() };
  } catch (error) {
    if (error instanceof CertificateError) return undefined;
    throw error;
  }
}
