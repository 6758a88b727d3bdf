import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const dayMs = 86_400_000;

/** The same kind of key for every server: ECDSA on P-256. */
export function writeCertificate(folder: string): CertificateFiles {
  const from = new Date(Date.now() - dayMs);
  const until = new Date(Date.now() + dayMs);
  const { certPem, keyPem } = selfSignedCertificate({ hosts: ["127.0.0.1"], from, until });
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  writeFileSync(files.cert, certPem);
  writeFileSync(files.key, keyPem, { mode: 0o600 });
  return files;
}
