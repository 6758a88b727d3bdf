import { type KeyObject, sign } from "node:crypto";
import { alternativeNames } from "../certificates/alternative-names.ts";
import { bits, integer, objectId, sequence, set, tagged } from "../certificates/der.ts";

const oid = { ecdsaWithSha256: "1.2.840.10045.4.3.2", extensionRequest: "1.2.840.113549.1.9.14" } as const;

export interface CertificateWish {
  readonly hosts: readonly string[];
  /** Of a P-256 key. */
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A request for a certificate (PKCS #10) in DER; whom it is for stands in the alternative names alone. */
export function certificateRequest({ hosts, privateKey, publicKey }: CertificateWish): Uint8Array {
  const toBeSigned = sequence(
    integer(Buffer.from([0])),
    sequence(),
    publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa0, sequence(objectId(oid.extensionRequest), set(sequence(alternativeNames(hosts))))),
  );
  return sequence(toBeSigned, sequence(objectId(oid.ecdsaWithSha256)), bits(sign("sha256", toBeSigned, privateKey)));
}
