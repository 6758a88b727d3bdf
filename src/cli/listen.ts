import { type Certificate, CertificateError, readCertificate } from "../platform/certificates/certificate.ts";
import { watchCertificate } from "../platform/certificates/watch-certificate.ts";
import type { Config } from "../platform/config/schema.ts";
import { sendFailure } from "../http/send-failure.ts";
import type { Handle } from "../platform/runtime/http.ts";
import { type Listening, type ListenOptions, serve } from "../platform/runtime/serve.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Operation } from "./operation.ts";
import { StartError } from "./start-error.ts";

const soonMs = 14 * 24 * 3_600_000;

/** Takes the port, and with a certificate follows its files. @throws StartError */
export async function listen(config: Config, { log, metrics }: Operation, handle: Handle): Promise<Listening> {
  const files = certificateFiles(config);
  let certificate = files && (await readAtStart(files));
  const onFailure = sendFailure(log);
  const server = takePort(config, { onFailure, ...(certificate && { certificate }) }, handle);
  metrics.gauge("registry_http_in_flight_requests", "Requests that have no whole answer yet.", () => server.pending());
  if (files === undefined || certificate === undefined) return server;
  warnOfExpiry(certificate, log);
  metrics.gauge(
    "berth_tls_certificate_expiry_timestamp_seconds",
    "When the certificate in use expires, since 1970.",
    () => (certificate?.expiresAtMs ?? 0) / 1000,
  );
  const stopWatching = watchCertificate(files, {
    everyMs: config.tls.checkSeconds * 1000,
    current: certificate,
    onRenewed(renewed) {
      server.renew(renewed);
      certificate = renewed;
      log.info("certificate renewed", { expires: new Date(renewed.expiresAtMs).toISOString() });
      warnOfExpiry(renewed, log);
    },
    onProblem: (error) => log.error("certificate not renewed", error),
  });
  return {
    ...server,
    stop(drainMs) {
      stopWatching();
      return server.stop(drainMs);
    },
  };
}

type Files = Parameters<typeof readCertificate>[0];

const certificateFiles = ({ tls: { certFile, keyFile } }: Config): Files | undefined =>
  certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };

async function readAtStart(files: Files): Promise<Certificate> {
  try {
    return await readCertificate(files);
  } catch (error) {
    throw error instanceof CertificateError ? new StartError(error.message) : error;
  }
}

function takePort(
  { http: { addr } }: Config,
  options: Pick<ListenOptions, "certificate" | "onFailure">,
  handle: Handle,
): Listening {
  const colon = addr.lastIndexOf(":");
  const host = addr.slice(0, colon).replaceAll(/[[\]]/g, "");
  const hostname = host === "" ? "0.0.0.0" : host;
  const port = Number(addr.slice(colon + 1));
  try {
    return serve({ hostname, port, ...options }, handle);
  } catch (error) {
    throw new StartError(`http.addr: cannot listen on ${addr}: ${error instanceof Error ? error.message : ""}`);
  }
}

function warnOfExpiry({ expiresAtMs }: Certificate, log: Log): void {
  if (expiresAtMs - Date.now() > soonMs) return;
  log.warn("certificate expires soon", { expires: new Date(expiresAtMs).toISOString() });
}
