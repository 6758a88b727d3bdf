import { acmeFolder } from "../platform/acme/acme-folder.ts";
import {
  type Certificate,
  CertificateError,
  type CertificateFiles,
  readCertificate,
} from "../platform/certificates/certificate.ts";
import { selfSignedCertificate } from "../platform/certificates/self-signed-certificate.ts";
import type { Config } from "../platform/config/schema.ts";
import { StartError } from "./start-error.ts";

export interface CertificateSource {
  readonly files: CertificateFiles;
  readonly everyMs: number;
  /** What to begin with. */
  readonly certificate: Certificate;
  /** No certificate at all, and made only so that those can be answered who do not look at it. */
  readonly isMakeshift: boolean;
}

/** Where the server's certificate comes from; `undefined` where it speaks without TLS. @throws StartError */
export async function certificateSource({ data, tls }: Config): Promise<CertificateSource | undefined> {
  const { certFile, keyFile, checkSeconds } = tls;
  const { hosts, directoryUrl } = tls.acme;
  if (hosts !== undefined) {
    const { keptLifetime } = await import("../platform/acme/keep-certificate.ts");
    const { certificateFile } = acmeFolder(data, directoryUrl);
    const files = { certFile: certificateFile, keyFile: certificateFile };
    // Nothing waits for more than a look at a file of our own.
    const everyMs = 1000;
    if ((await keptLifetime(certificateFile, hosts)) === undefined)
      return { files, everyMs, certificate: makeshift(hosts), isMakeshift: true };
    return { files, everyMs, certificate: await readCertificate(files), isMakeshift: false };
  }
  if (certFile === undefined || keyFile === undefined) return undefined;
  const files = { certFile, keyFile };
  return { files, everyMs: checkSeconds * 1000, certificate: await readAtStart(files), isMakeshift: false };
}

async function readAtStart(files: CertificateFiles): Promise<Certificate> {
  try {
    return await readCertificate(files);
  } catch (error) {
    throw error instanceof CertificateError ? new StartError(error.message) : error;
  }
}

const dayMs = 24 * 3_600_000;

function makeshift(hosts: readonly string[]): Certificate {
  const now = Date.now();
  const until = new Date(now + 365 * dayMs);
  return { ...selfSignedCertificate({ hosts, from: new Date(now - dayMs), until }), expiresAtMs: until.getTime() };
}
