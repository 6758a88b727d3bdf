import { openNetworks } from "../platform/net/networks.ts";
import type { Incoming } from "../platform/runtime/http.ts";
import type { CertificateReader } from "./certificate-reader.ts";
import type { Voucher } from "./vouching.ts";

export interface ProxySettings extends Pick<Voucher, "count"> {
  /** Of the proxies' connections: from elsewhere, anyone may have said it. */
  readonly networks: readonly string[];
  /** In lower case, as the other header. */
  readonly userHeader: string | undefined;
  readonly certificates: { readonly header: string; readonly read: CertificateReader } | undefined;
}

/** Proxies that say who a request is from. A certificate says more than a name: where there are both, it counts. */
export function proxyVoucher({ networks, userHeader, certificates, count }: ProxySettings): Voucher {
  const trusted = openNetworks(networks);
  const names = [certificates?.header, userHeader].filter((name) => name !== undefined);
  const headerOf = ({ headers }: Incoming): string | undefined => names.find((name) => headers.has(name));
  return {
    speaksOf: (request) =>
      headerOf(request) !== undefined && trusted.has(request.proxyAddress ?? request.remoteAddress),
    nameIn(request) {
      const header = headerOf(request) ?? "";
      const text = request.headers.get(header) ?? "";
      if (header !== certificates?.header) return { kind: "account", name: text };
      const der = parseCertificate(text);
      return der && certificates.read(der)?.owner;
    },
    count,
  };
}

const mostCharacters = 16 * 1024;
const asBytes = /^:([A-Za-z0-9+/]+={0,2}):$/;
const asPem = /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\n?$/;

/** In DER: of a `Client-Cert` as RFC 9440 has it, or of PEM with what a header cannot hold escaped, as nginx writes it. */
function parseCertificate(text: string): Uint8Array | undefined {
  if (text.length > mostCharacters) return undefined;
  const [, bytes] = asBytes.exec(text) ?? asPem.exec(unescaped(text)) ?? [];
  return bytes === undefined ? undefined : Buffer.from(bytes, "base64");
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
