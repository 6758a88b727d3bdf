import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Caller } from "../access/principal.ts";
import type { CallerNamed, VouchedName } from "../access/vouched-callers.ts";
import { fail } from "../oci/problem.ts";
import type { CertificateNames } from "../platform/certificates/client-certificates.ts";
import type { CertificateField, CertificateRule } from "../platform/config/proxy-identity-schema.ts";
import { openNetworks } from "../platform/net/networks.ts";
import type { Incoming } from "../platform/runtime/http.ts";

/** Of proxies that say who a request is from. */
export interface Vouching {
  /** Whether one does: where a request brings credentials, these count, and where it comes from elsewhere, anyone may have said it. */
  vouches(request: Incoming): boolean;
  /**
   * Who it is; `undefined` where no proxy vouches for anyone.
   * @throws RegistryError UNAUTHORIZED for a name that is nobody's who may come in so, and a certificate that is no good
   */
  callerOf(request: Incoming, scopes?: readonly string[]): Promise<Caller | undefined>;
}

export interface VouchingSettings {
  /** Of the proxies' connections. */
  readonly networks: readonly string[];
  /** In lower case, as the other header. */
  readonly userHeader: string | undefined;
  readonly certificates: CertificateSettings | undefined;
  readonly now: () => number;
  readonly count: (outcome: "accepted" | "refused") => void;
}

export interface CertificateSettings {
  readonly header: string;
  /** `undefined` for a certificate that is not good now. */
  readonly namesIn: (der: Uint8Array) => CertificateNames | undefined;
  readonly rules: readonly CertificateRule[];
  /** Where no rule fits: what holds an account's name. */
  readonly accountIn: CertificateField | undefined;
}

/** A certificate says more than a name: where there are both, it counts. */
export function openVouching(settings: VouchingSettings, callerNamed: CallerNamed): Vouching {
  const { userHeader, certificates, count } = settings;
  const trusted = openNetworks(settings.networks);
  const names = [certificates?.header, userHeader].filter((name) => name !== undefined);
  const headerOf = ({ headers, proxyAddress, remoteAddress }: Incoming): string | undefined => {
    const header = names.find((name) => headers.has(name));
    if (header === undefined || headers.has("authorization")) return undefined;
    return trusted.has(proxyAddress ?? remoteAddress) ? header : undefined;
  };
  const read = certificates && certificateReader(certificates, settings.now);
  return {
    vouches: (request) => headerOf(request) !== undefined,
    async callerOf(request, scopes = []) {
      const header = headerOf(request);
      if (header === undefined) return undefined;
      const text = request.headers.get(header) ?? "";
      const named: VouchedName | undefined =
        header === certificates?.header ? read?.(text) : { kind: "account", name: text };
      const caller = named && (await callerNamed(named, request));
      count(caller === undefined ? "refused" : "accepted");
      return caller ?? fail({ code: "UNAUTHORIZED", scopes });
    },
  };
}

const mostKept = 1000;

/** To check a signature takes a tenth of a millisecond, and one client sends one certificate with every request. */
function certificateReader({ namesIn, rules, accountIn }: CertificateSettings, now: () => number) {
  const kept = new LRUCache<string, { readonly named: VouchedName; readonly validUntil: number }>({ max: mostKept });
  return (text: string): VouchedName | undefined => {
    const key = hash("sha256", text, "base64");
    const known = kept.get(key);
    if (known !== undefined && now() < known.validUntil) return known.named;
    const der = parseCertificate(text);
    const names = der && namesIn(der);
    const named = names && ownerOf(names, { rules, accountIn });
    if (named !== undefined) kept.set(key, { named, validUntil: names?.validUntil ?? 0 });
    return named;
  };
}

function ownerOf(
  names: CertificateNames,
  { rules, accountIn }: Pick<CertificateSettings, "rules" | "accountIn">,
): VouchedName | undefined {
  const rule = rules.find(({ field, value }) => names[field].includes(value));
  if (rule?.robot !== undefined) return { kind: "robot", name: rule.robot };
  if (rule?.account !== undefined) return { kind: "account", name: rule.account };
  const [name, another] = accountIn === undefined ? [] : names[accountIn];
  return name === undefined || another !== undefined ? undefined : { kind: "account", name };
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
