import type { Certificate } from "../platform/certificates/certificate.ts";
import { watchCertificate } from "../platform/certificates/watch-certificate.ts";
import type { Config } from "../platform/config/schema.ts";
import { sendFailure } from "../http/send-failure.ts";
import type { Handle } from "../platform/runtime/http.ts";
import type { ListeningSocket } from "../platform/runtime/listening-socket.ts";
import type { ClientCertificates, Listening } from "../platform/runtime/serve.ts";
import type { Log } from "../platform/telemetry/log.ts";
import { certificateSource } from "./certificate-source.ts";
import type { Operation } from "./operation.ts";
import { takePort } from "./take-port.ts";

const soonMs = 14 * 24 * 3_600_000;

export interface Entry extends Listening {
  /** When the certificate in use expires; `undefined` without TLS, and for one that is no more than a makeshift. */
  certificateExpiresAtMs(): number | undefined;
}

export interface ListenPlan {
  readonly handle: Handle;
  /** The port's, where other processes share it. */
  readonly socket?: ListeningSocket;
}

/** Takes the port or its place at it, and with a certificate follows its files. @throws StartError */
export async function listen(config: Config, operation: Operation, { handle, socket }: ListenPlan): Promise<Entry> {
  const { log, metrics } = operation;
  const source = await certificateSource(config);
  const { addr, idleSeconds, stallSeconds, minBytesPerSecond } = config.http;
  const patience = { idleSeconds, stallSeconds, minBytesPerSecond };
  const clients = config.access.clientCertificates.caFile === undefined ? undefined : handshakeCounter(operation);
  const port = { setting: "http.addr", addr, patience, socket, clientCertificates: clients };
  const told = { onDownloadCut: cutReporter(operation), onFailure: sendFailure(log) };
  const server = takePort({ ...port, ...told, certificate: source?.certificate }, handle);
  if (!server.watchesDownloads) log.warn("slow downloads are not told from those that nobody reads");
  metrics.gauge("registry_http_in_flight_requests", "Requests that have no whole answer yet.", () => server.pending());
  if (source === undefined) return { ...server, certificateExpiresAtMs: () => undefined };
  const isFromAuthority = config.tls.acme.hosts !== undefined;
  let used = source.isMakeshift ? undefined : source.certificate;
  // Those from an authority are renewed by ourselves, and what goes wrong then is told.
  const warn = (certificate: Certificate): void => (isFromAuthority ? undefined : warnOfExpiry(certificate, log));
  if (used !== undefined) warn(used);
  const certificateExpiresAtMs = (): number | undefined => used?.expiresAtMs;
  metrics.gauge(
    "berth_tls_certificate_expiry_timestamp_seconds",
    "When the certificate in use expires, since 1970.",
    () => (used === undefined ? undefined : used.expiresAtMs / 1000),
  );
  const stopWatching = watchCertificate(source.files, {
    everyMs: source.everyMs,
    current: source.certificate,
    onRenewed(renewed) {
      server.renew(renewed).then(
        () => {
          used = renewed;
          log.info("certificate renewed", { expires: new Date(renewed.expiresAtMs).toISOString() });
          warn(renewed);
        },
        (error: unknown) => log.error("certificate not renewed", error),
      );
    },
    onProblem(error) {
      if (!isFromAuthority) log.error("certificate not renewed", error);
    },
  });
  return {
    ...server,
    certificateExpiresAtMs,
    stop(drainMs) {
      stopWatching();
      return server.stop(drainMs);
    },
  };
}

function cutReporter({ log, metrics }: Operation): (remoteAddress: string) => void {
  const count = metrics.counter(
    "berth_http_downloads_cut_total",
    "Downloads that were ended because their reader took nothing.",
  );
  return (remoteAddress) => {
    count();
    log.info("download cut", { remoteAddress });
  };
}

const handshakeCounter = ({ metrics }: Operation): ClientCertificates => ({
  onHandshakeFailed: metrics.counter(
    "berth_tls_handshakes_failed_total",
    "Connections that have not come to speak TLS, where clients are asked for certificates.",
  ),
});

function warnOfExpiry({ expiresAtMs }: Certificate, log: Log): void {
  if (expiresAtMs - Date.now() > soonMs) return;
  log.warn("certificate expires soon", { expires: new Date(expiresAtMs).toISOString() });
}
