import type { CallerNamed } from "../access/vouched-callers.ts";
import type { CertificateReader, CertificateRules } from "../http/certificate-reader.ts";
import type { Site } from "../http/entrance.ts";
import type { Voucher, Vouching } from "../http/vouching.ts";
import { CertificateError } from "../platform/certificates/certificate.ts";
import { ConfigError } from "../platform/config/load-config.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";

interface VouchingDeps {
  readonly callerNamed: CallerNamed;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: () => number;
}

export interface WantedVouching {
  readonly vouching: Vouching;
  /** Before all others, where nobody comes in without a certificate. */
  readonly gate: Site | undefined;
}

/** `undefined` where nobody vouches for anyone, and no client is asked for a certificate. @throws ConfigError */
export async function wantedVouching(config: Config, deps: VouchingDeps): Promise<WantedVouching | undefined> {
  const { clientCertificates, proxyIdentity } = config.access;
  if (clientCertificates.caFile === undefined && proxyIdentity.networks === undefined) return undefined;
  const { openVouching } = await import("../http/vouching.ts");
  const proxies = await proxiesOf(config, deps);
  const clients = await clientsOf(config, deps);
  const vouchers = [proxies, clients?.voucher].filter((voucher) => voucher !== undefined);
  return { vouching: openVouching(vouchers, deps.callerNamed), gate: clients?.gate };
}

async function proxiesOf(config: Config, deps: VouchingDeps): Promise<Voucher | undefined> {
  const { networks, userHeader, certificateHeader: header, certificateCaFile: file } = config.access.proxyIdentity;
  if (networks === undefined) return undefined;
  const { proxyVoucher } = await import("../http/proxy-voucher.ts");
  const counter = deps.metrics.counter(
    "berth_proxy_identities_total",
    "Requests without credentials that a proxy has vouched for.",
    ["outcome"],
  );
  const { certificateRules: rules = [], certificateAccount: accountIn } = config.access.proxyIdentity;
  const setting = "access.proxyIdentity.certificateCaFile";
  const followed = { setting, everyMs: config.tls.checkSeconds * 1000, wanted: { rules, accountIn } };
  const certificates =
    header === undefined || file === undefined
      ? undefined
      : { header, read: await certificatesSignedBy(file, followed, deps) };
  return proxyVoucher({ networks, userHeader, certificates, count: (outcome) => counter({ outcome }) });
}

async function clientsOf(config: Config, deps: VouchingDeps) {
  const { caFile, required, rules = [], account: accountIn } = config.access.clientCertificates;
  if (caFile === undefined) return undefined;
  const { certificateGate, certificateVoucher } = await import("../http/client-certificates.ts");
  const setting = "access.clientCertificates.caFile";
  const followed = { setting, everyMs: config.tls.checkSeconds * 1000, wanted: { rules, accountIn } };
  const read = await certificatesSignedBy(caFile, followed, deps);
  const counter = deps.metrics.counter(
    "berth_client_certificate_identities_total",
    "Requests without credentials on connections with a client's certificate.",
    ["outcome"],
  );
  const saysWho = rules.length > 0 || accountIn !== undefined;
  return {
    voucher: saysWho ? certificateVoucher(read, (outcome) => counter({ outcome })) : undefined,
    gate: required ? certificateGate(read) : undefined,
  };
}

interface Followed {
  readonly setting: string;
  readonly everyMs: number;
  readonly wanted: CertificateRules;
}

/** Follows the file: an authority that is taken out of it signs for nobody any more, also on connections that stand. */
async function certificatesSignedBy(
  file: string,
  { setting, everyMs, wanted }: Followed,
  { log, now }: Pick<VouchingDeps, "log" | "now">,
): Promise<CertificateReader> {
  const { clientCertificates, readAuthorities } = await import("../platform/certificates/client-certificates.ts");
  const { certificateReader } = await import("../http/certificate-reader.ts");
  const { watchFiles } = await import("../platform/certificates/watch-files.ts");
  const readFile = () => readAuthorities(setting, file);
  let used = await readFile().catch((error: unknown) => {
    throw error instanceof CertificateError ? new ConfigError([error.message]) : error;
  });
  const make = (): CertificateReader => certificateReader({ namesIn: clientCertificates(used, now), now, ...wanted });
  let reader = make();
  watchFiles([file], {
    everyMs,
    read: readFile,
    onRead(authorities) {
      const known = new Set(used.map(({ fingerprint256 }) => fingerprint256));
      const isSame = authorities.length === used.length && authorities.every((one) => known.has(one.fingerprint256));
      if (isSame) return;
      used = authorities;
      reader = make();
      log.info("client authorities renewed", { setting, authorities: authorities.length });
    },
    onProblem: (error) => log.error("client authorities not renewed", error),
  });
  return (der) => reader(der);
}
