import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";

/** A certificate, its chain behind it, and the key that it belongs to. */
export interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly expiresAtMs: number;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Something about the files that the operator can set right. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/** @throws CertificateError naming the setting */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [certPem, keyPem] = [await readPem("tls.certFile", certFile), await readPem("tls.keyFile", keyFile)];
  const cert = parse(`tls.certFile: ${certFile} has no certificate in PEM`, () => new X509Certificate(certPem));
  const key = parse(`tls.keyFile: ${keyFile} has no private key in PEM, or a passphrase`, () =>
    createPrivateKey(keyPem),
  );
  if (!cert.checkPrivateKey(key)) throw new CertificateError(`tls.keyFile: ${keyFile} is not the key of ${certFile}`);
  return { certPem, keyPem, expiresAtMs: cert.validToDate.getTime() };
}

async function readPem(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new CertificateError(`${setting}: ${error instanceof Error ? error.message : "cannot be read"}`);
  }
}

function parse<T>(problem: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new CertificateError(problem);
  }
}
