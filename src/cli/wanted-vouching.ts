import type { CallerNamed } from "../access/vouched-callers.ts";
import type { Vouching } from "../http/vouching.ts";
import { CertificateError } from "../platform/certificates/certificate.ts";
import { ConfigError } from "../platform/config/load-config.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";

interface VouchingDeps {
  readonly callerNamed: CallerNamed;
  readonly metrics: Metrics;
  readonly now: () => number;
}

/** `undefined` where nobody vouches for anyone. @throws ConfigError */
export async function wantedVouching(
  { access: { proxyIdentity } }: Config,
  { callerNamed, metrics, now }: VouchingDeps,
): Promise<Vouching | undefined> {
  const { networks, userHeader, certificateHeader: header, certificateCaFile } = proxyIdentity;
  if (networks === undefined) return undefined;
  const { openVouching } = await import("../http/vouching.ts");
  const counter = metrics.counter(
    "berth_proxy_identities_total",
    "Requests without credentials that a proxy has vouched for.",
    ["outcome"],
  );
  const certificates =
    header === undefined || certificateCaFile === undefined
      ? undefined
      : {
          header,
          namesIn: await certificatesOf(certificateCaFile, now),
          rules: proxyIdentity.certificateRules ?? [],
          accountIn: proxyIdentity.certificateAccount,
        };
  const settings = { networks, userHeader, certificates, now };
  return openVouching({ ...settings, count: (outcome) => counter({ outcome }) }, callerNamed);
}

async function certificatesOf(file: string, now: () => number) {
  const { clientCertificates, readAuthorities } = await import("../platform/certificates/client-certificates.ts");
  try {
    return clientCertificates(await readAuthorities("access.proxyIdentity.certificateCaFile", file), now);
  } catch (error) {
    throw error instanceof CertificateError ? new ConfigError([error.message]) : error;
  }
}
