import { isTrue, objectId, octets, sequence } from "../certificates/der.ts";
import { type SelfSigned, selfSignedCertificate } from "../certificates/self-signed-certificate.ts";
import { sha256 } from "./account-key.ts";

const acmeIdentifier = "1.3.6.1.5.5.7.1.31";
const hourMs = 3_600_000;

/** What a validation of tls-alpn-01 is to be met with (RFC 8737, 3). */
export const challengeCertificate = (host: string, keyAuthorization: string, now = Date.now()): SelfSigned =>
  selfSignedCertificate({
    hosts: [host],
    from: new Date(now - hourMs),
    until: new Date(now + 24 * hourMs),
    extensions: [sequence(objectId(acmeIdentifier), isTrue, octets(octets(sha256(keyAuthorization))))],
  });
