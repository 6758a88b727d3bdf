import { readFile } from "node:fs/promises";
import { entrance } from "../http/entrance.ts";
import type { ReadinessCheck } from "../http/operations/readiness.ts";
import { plainSite } from "../http/plain-site.ts";
import { acmeFolder } from "../platform/acme/acme-folder.ts";
import type { Challenge, Responder } from "../platform/acme/challenge.ts";
import { challengeCertificate } from "../platform/acme/challenge-certificate.ts";
import { type CertificateKeeper, keepCertificate } from "../platform/acme/keep-certificate.ts";
import type { Config } from "../platform/config/schema.ts";
import { guardedFetch } from "../platform/net/guarded-fetch.ts";
import type { Entry } from "./listen.ts";
import type { Operation } from "./operation.ts";
import { startStep } from "./start-error.ts";
import { takePort } from "./take-port.ts";

export interface Acme {
  readonly checks: readonly ReadinessCheck[];
  /** Asks the authority from now on; only the server that has the data folder may. */
  start(): void;
  stop(drainMs: number): Promise<void>;
}

type AcmeConfig = Config["tls"]["acme"] & { readonly hosts: readonly string[] };

/** Answers have at most a chain of certificates in them. */
const mostAnswerBytes = 256 * 1024;

/** Makes ready to have a certificate from an authority. @throws StartError */
export async function openAcme(config: Config, operation: Operation, server: Entry): Promise<Acme> {
  const { hosts = [] } = config.tls.acme;
  const acme = { ...config.tls.acme, hosts };
  const { responder, stop } =
    acme.challenge === "http-01" ? answerOnPlainPort(acme, operation, server) : answerInHandshake(server);
  const { caFile } = acme;
  const ca = caFile === undefined ? undefined : await startStep("tls.acme.caFile", () => readFile(caFile, "utf8"));
  let keeper: CertificateKeeper | undefined;
  measure(operation, () => keeper);
  return {
    checks: [{ name: "certificate", problem: async () => problemOf(server, keeper) }],
    start() {
      keeper = keep(acme, { config, operation, responder, ca });
    },
    async stop(drainMs) {
      await Promise.all([keeper?.stop(), stop(drainMs)]);
    },
  };
}

interface Parts {
  readonly config: Config;
  readonly operation: Operation;
  readonly responder: Responder;
  readonly ca: string | undefined;
}

function keep(acme: AcmeConfig, { config, operation: { log }, responder, ca }: Parts): CertificateKeeper {
  const { hosts, directoryUrl, email } = acme;
  const { keyId, hmacKey } = acme.externalAccount;
  const externalAccount = keyId === undefined || hmacKey === undefined ? undefined : { keyId, hmacKey };
  const ask = guardedFetch({
    // An authority may stand in a network of one's own; it cannot lead elsewhere in it.
    allow: [new URL(directoryUrl).hostname],
    maxBodyBytes: mostAnswerBytes,
    ...(ca !== undefined && { ca }),
  });
  return keepCertificate(
    { hosts, directoryUrl, email, externalAccount },
    {
      folder: acmeFolder(config.data, directoryUrl),
      ask,
      responder,
      onObtained: ({ untilMs }) =>
        log.info("certificate obtained", { hosts: hosts.join(" "), expires: new Date(untilMs).toISOString() }),
      onFailed: (error, { failures, nextAttemptAtMs = 0 }) =>
        log.error("certificate not obtained", error, {
          failures,
          nextAttempt: new Date(nextAttemptAtMs).toISOString(),
        }),
    },
  );
}

function measure({ metrics }: Operation, keeper: () => CertificateKeeper | undefined): void {
  metrics.gauge(
    "berth_acme_failures",
    "Attempts in a row to have a certificate from the authority that failed; 0 after one that did not.",
    () => keeper()?.status().failures,
  );
  metrics.gauge(
    "berth_acme_next_attempt_timestamp_seconds",
    "When the authority is asked for a certificate next, since 1970.",
    () => {
      const nextMs = keeper()?.status().nextAttemptAtMs;
      return nextMs === undefined ? undefined : nextMs / 1000;
    },
  );
}

function problemOf(server: Entry, keeper: CertificateKeeper | undefined): string | undefined {
  const expiresAtMs = server.certificateExpiresAtMs();
  if (expiresAtMs !== undefined && expiresAtMs > Date.now()) return undefined;
  const what = expiresAtMs === undefined ? "there is no certificate yet" : "the certificate has expired";
  const failed = (keeper?.status().failures ?? 0) > 0;
  return failed ? `${what}, and the authority gave none; the log has more` : what;
}

interface Answering {
  readonly responder: Responder;
  readonly stop: (drainMs: number) => Promise<unknown>;
}

/** Nobody has anything to send there. */
const short = { idleSeconds: 10, stallSeconds: 10, minBytesPerSecond: 1024 };

function answerOnPlainPort(
  { hosts, httpAddr }: AcmeConfig,
  { log, metrics, trustProxies, tracer }: Operation,
  server: Entry,
): Answering {
  const answers = new Map<string, string>();
  const securePort = Number(new URL(server.url).port || 443);
  const sites = [plainSite({ answers, hosts, securePort })];
  const handle = entrance({ log, metrics, trustProxies, tracer, challenge: () => undefined, sites });
  const plain = takePort({ setting: "tls.acme.httpAddr", addr: httpAddr, patience: short }, handle);
  log.info("leading to https", { url: plain.url });
  return {
    stop: (drainMs) => plain.stop(drainMs),
    responder: {
      type: "http-01",
      async answer(challenges) {
        for (const { token, keyAuthorization } of challenges) answers.set(token, keyAuthorization);
        return async () => {
          for (const { token } of challenges) answers.delete(token);
        };
      },
    },
  };
}

const answerInHandshake = (server: Entry): Answering => ({
  stop: async () => undefined,
  responder: {
    type: "tls-alpn-01",
    answer: (challenges: readonly Challenge[]) =>
      server.answerTlsAlpn(
        challenges.map(({ host, keyAuthorization }) => ({ host, ...challengeCertificate(host, keyAuthorization) })),
      ),
  },
});
