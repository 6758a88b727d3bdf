import { fail } from "../oci/problem.ts";
import type { Incoming } from "../platform/runtime/http.ts";
import type { CertificateReader } from "./certificate-reader.ts";
import type { Site } from "./entrance.ts";
import { isOperationPath } from "./operations/operations-site.ts";
import type { Voucher } from "./vouching.ts";

/** Clients that have shown a certificate on their own connection. It is judged anew with each request on it. */
export const certificateVoucher = (read: CertificateReader, count: Voucher["count"]): Voucher => ({
  speaksOf: ({ peerCertificate }) => peerCertificate !== undefined,
  nameIn: ({ peerCertificate }) => peerCertificate && read(peerCertificate)?.owner,
  count,
});

/** Lets nobody pass who has shown none that is good now; those who watch over the server have none to show. */
export const certificateGate =
  (read: CertificateReader): Site =>
  ({ peerCertificate, path }: Incoming) => {
    if (isOperationPath(path) || (peerCertificate && read(peerCertificate)) !== undefined) return undefined;
    const missing = peerCertificate === undefined ? "a client certificate" : "a client certificate that is good";
    return fail({ code: "DENIED", rule: "client certificate required", missing });
  };
