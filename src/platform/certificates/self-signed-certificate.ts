import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { alternativeNames } from "./alternative-names.ts";
import { bits, integer, isTrue, objectId, octets, sequence, set, tagged, text, time } from "./der.ts";

export interface SelfSigned {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface SelfSignedWish {
  /** DNS names and IP addresses; one or more. */
  readonly hosts: readonly string[];
  readonly from: Date;
  readonly until: Date;
  /** More extensions, in DER. */
  readonly extensions?: readonly Uint8Array[];
}

const oid = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;
/** RFC 5280, "ub-common-name". */
const longestCommonName = 64;

/**
 * A key and a certificate that it signs itself: good for these hosts' servers and for nothing else. It is no authority,
 * so whoever gets the key can pose as these hosts, but cannot make certificates that its clients believe.
 */
export function selfSignedCertificate({ hosts, from, until, extensions: more = [] }: SelfSignedWish): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [first = ""] = hosts;
  const name = nameOf(first.length > longestCommonName ? "berth" : first);
  const algorithm = sequence(objectId(oid.ecdsaWithSha256));
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    algorithm,
    name,
    sequence(time(from), time(until)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions(hosts, publicKey), ...more)),
  );
  const certificate = sequence(toBeSigned, algorithm, bits(sign("sha256", toBeSigned, privateKey)));
  return { certPem: toPem(certificate), keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) };
}

/** Random, positive, and without a byte too many at its front. */
function serialNumber(): Uint8Array {
  const serial = randomBytes(16);
  serial[0] = 0x40 + ((serial[0] ?? 0) % 0x40);
  return serial;
}

const nameOf = (commonName: string): Uint8Array => sequence(set(sequence(objectId(oid.commonName), text(commonName))));

function extensions(hosts: readonly string[], publicKey: KeyObject): readonly Uint8Array[] {
  const digitalSignature = bits(Buffer.from([0x80]), 7);
  const keyId = createHash("sha1")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
  return [
    sequence(objectId(oid.basicConstraints), isTrue, octets(sequence())),
    sequence(objectId(oid.keyUsage), isTrue, octets(digitalSignature)),
    sequence(objectId(oid.extendedKeyUsage), octets(sequence(objectId(oid.serverAuth)))),
    alternativeNames(hosts),
    sequence(objectId(oid.subjectKeyIdentifier), octets(octets(keyId))),
  ];
}

const toPem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString("base64")
    .replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
