import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { VouchedName } from "../access/vouched-callers.ts";
import type { CertificateNames } from "../platform/certificates/client-certificates.ts";
import type { CertificateField, CertificateRule } from "../platform/config/certificate-rules-schema.ts";

export interface CertificateRules {
  readonly rules: readonly CertificateRule[];
  /** Where no rule fits: what holds an account's name. */
  readonly accountIn: CertificateField | undefined;
}

interface ReaderSettings extends CertificateRules {
  /** `undefined` for a certificate that is not good now. */
  readonly namesIn: (der: Uint8Array) => CertificateNames | undefined;
  readonly now: () => number;
}

/** Of a certificate that is good now. */
export interface ReadCertificate {
  /** Whose it is; `undefined` where nobody says. */
  readonly owner: VouchedName | undefined;
}

/** `undefined` for one that is not good now. */
export type CertificateReader = (der: Uint8Array) => ReadCertificate | undefined;

const mostKept = 1000;

/** To check a signature takes a tenth of a millisecond, and one client sends one certificate with every request. */
export function certificateReader({ namesIn, now, ...wanted }: ReaderSettings): CertificateReader {
  const kept = new LRUCache<string, ReadCertificate & { readonly validUntil: number }>({ max: mostKept });
  return (der) => {
    const key = hash("sha256", der, "base64");
    const known = kept.get(key);
    if (known !== undefined && now() < known.validUntil) return known;
    const names = namesIn(der);
    if (names === undefined) return undefined;
    const read = { owner: ownerOf(names, wanted), validUntil: names.validUntil };
    kept.set(key, read);
    return read;
  };
}

function ownerOf(names: CertificateNames, { rules, accountIn }: CertificateRules): VouchedName | undefined {
  const rule = rules.find(({ field, value }) => names[field].includes(value));
  if (rule?.robot !== undefined) return { kind: "robot", name: rule.robot };
  if (rule?.account !== undefined) return { kind: "account", name: rule.account };
  const [name, another] = accountIn === undefined ? [] : names[accountIn];
  return name === undefined || another !== undefined ? undefined : { kind: "account", name };
}
