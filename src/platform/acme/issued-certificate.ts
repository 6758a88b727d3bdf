import { type KeyObject, X509Certificate } from "node:crypto";
import { AcmeError } from "./acme-error.ts";

const block = /-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----/g;
/** A server's own and those above it; more is no chain. */
const mostCertificates = 8;

export interface IssuedWish {
  readonly hosts: readonly string[];
  readonly privateKey: KeyObject;
  readonly nowMs: number;
}

/**
 * The chain that an authority has given out, in PEM and nothing else in it, if it is what was asked for: for our key,
 * for every host, good now, each signed by the next. @throws AcmeError
 */
export function readIssued(text: string, { hosts, privateKey, nowMs }: IssuedWish): string {
  const blocks = text.match(block) ?? [];
  if (blocks.length > mostCertificates) throw new AcmeError("the authority's chain is too long");
  const chain = blocks.map(parse);
  const [leaf] = chain;
  if (leaf === undefined) throw new AcmeError("the authority's certificate is none in PEM");
  if (!leaf.checkPrivateKey(privateKey)) throw new AcmeError("the authority's certificate is for another key");
  const missing = hosts.find((host) => leaf.checkHost(host) === undefined);
  if (missing !== undefined) throw new AcmeError(`the authority's certificate is not for ${missing}`);
  if (leaf.validToDate.getTime() <= nowMs) throw new AcmeError("the authority's certificate has expired");
  for (const [index, one] of chain.entries()) {
    const next = chain[index + 1];
    if (next !== undefined && !(one.checkIssued(next) && one.verify(next.publicKey)))
      throw new AcmeError("the authority's chain is not one: a certificate is not signed by the next");
  }
  return blocks.map((one) => `${one.replaceAll("\r", "")}\n`).join("");
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new AcmeError("the authority's certificate is damaged");
  }
}
