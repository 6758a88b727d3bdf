import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CertificateError } from "./certificate.ts";

/** Whom a client's certificate is for. */
export interface CertificateNames {
  /** Milliseconds since 1970. */
  readonly validUntil: number;
  /** None where there is not exactly one. */
  readonly commonName: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  readonly dns: readonly string[];
}

const inPem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @throws CertificateError naming the setting */
export async function readAuthorities(setting: string, file: string): Promise<readonly X509Certificate[]> {
  const pem = await readFile(file, "utf8").catch((error: unknown) => {
    throw new CertificateError(`${setting}: ${error instanceof Error ? error.message : "cannot be read"}`);
  });
  const authorities = (pem.match(inPem) ?? []).map((text) => parsed(Buffer.from(text)));
  const isWrong = authorities.length === 0 || authorities.some((one) => one?.ca !== true);
  if (isWrong)
    throw new CertificateError(`${setting}: ${file} must have certificates of authorities in PEM, and no others`);
  return authorities.filter((one) => one !== undefined);
}

function parsed(bytes: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

const clientAuthentication = "1.3.6.1.5.5.7.3.2";

/**
 * Reads certificates of clients. Each has to be signed by one of the authorities itself, valid now, and meant for clients.
 * That whoever shows it has its key, the other end of their TLS has made sure of.
 * @returns `undefined` for one that is not
 */
export const clientCertificates =
  (authorities: readonly X509Certificate[], now: () => number) =>
  (der: Uint8Array): CertificateNames | undefined => {
    const certificate = parsed(der);
    if (certificate === undefined || certificate.ca || !isForClients(certificate)) return undefined;
    const at = now();
    const signer = authorities.find(
      (authority) =>
        isValidAt(authority, at) && certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
    );
    if (signer === undefined || !isValidAt(certificate, at)) return undefined;
    const names = namesIn(certificate);
    const validUntil = Math.min(certificate.validToDate.getTime(), signer.validToDate.getTime());
    return names && { ...names, validUntil };
  };

/** One that says nothing of its use is for any. */
const isForClients = ({ keyUsage }: X509Certificate): boolean =>
  // oxlint-disable-next-line typescript/no-unnecessary-condition -- absent where the certificate has no such extension
  (keyUsage ?? [clientAuthentication]).includes(clientAuthentication);

const isValidAt = ({ validFromDate, validToDate }: X509Certificate, at: number): boolean =>
  validFromDate.getTime() <= at && at < validToDate.getTime();

function namesIn({ subject, subjectAltName }: X509Certificate): Omit<CertificateNames, "validUntil"> | undefined {
  const alternatives = alternativeNamesIn(subjectAltName ?? "");
  if (alternatives === undefined) return undefined;
  const of = (kind: string) => alternatives.filter(([one]) => one === kind).map(([, value]) => value);
  return { commonName: commonNameIn(subject), email: of("email"), uri: of("URI"), dns: of("DNS") };
}

const alternative = /^([A-Za-z][A-Za-z ]*):(?:"((?:[^"\\]|\\.)*)"|([^",]*))(?:, |$)/;

/** As Node writes them: in quotes what holds a comma or a quote. `undefined` where it is written in any other way. */
function alternativeNamesIn(text: string): readonly (readonly [kind: string, value: string])[] | undefined {
  const found: (readonly [string, string])[] = [];
  for (let rest = text; rest !== "";) {
    const match = alternative.exec(rest);
    if (match === null) return undefined;
    const [whole, kind = "", quoted, plain = ""] = match;
    // What takes an escape is no name that anybody has here.
    if (quoted?.includes("\\") !== true) found.push([kind, quoted ?? plain]);
    rest = rest.slice(whole.length);
  }
  return found;
}

/** A line is a part of the name. One with several values, or an escape that is not of a plain sign, names nobody. */
function commonNameIn(subject: string): readonly string[] {
  const lines = subject.split("\n").filter((line) => /(?:^|\+ ?)CN=/.test(line));
  const [line = ""] = lines;
  const [, value] = /^CN=((?:[^\\+]|\\[,+"\\<>; #=])+)$/.exec(line) ?? [];
  return lines.length !== 1 || value === undefined ? [] : [value.replaceAll(/\\(.)/g, "$1")];
}
