import { type Certificate, type CertificateFiles, readCertificate } from "./certificate.ts";
import { watchFiles } from "./watch-files.ts";

export interface CertificateWatch {
  readonly everyMs: number;
  /** What is in use now. */
  readonly current: Certificate;
  /** A new pair stands in the files, and is whole. */
  readonly onRenewed: (certificate: Certificate) => void;
  /** The files have changed and cannot be used; told once for each change. */
  readonly onProblem: (error: unknown) => void;
}

/** Certificate and key are two files, so for a moment they may not fit. @returns a function that ends the watch */
export function watchCertificate(
  files: CertificateFiles,
  { everyMs, current, onRenewed, onProblem }: CertificateWatch,
): () => void {
  let { certPem, keyPem } = current;
  return watchFiles([files.certFile, files.keyFile], {
    everyMs,
    read: () => readCertificate(files),
    onRead(certificate) {
      if (certificate.certPem === certPem && certificate.keyPem === keyPem) return;
      ({ certPem, keyPem } = certificate);
      onRenewed(certificate);
    },
    onProblem,
  });
}
