import { stat } from "node:fs/promises";
import { type Certificate, type CertificateFiles, readCertificate } from "./certificate.ts";

export interface CertificateWatch {
  readonly everyMs: number;
  /** What is in use now. */
  readonly current: Certificate;
  /** A new pair stands in the files, and is whole. */
  readonly onRenewed: (certificate: Certificate) => void;
  /** The files have changed and cannot be used; told once for each change. */
  readonly onProblem: (error: unknown) => void;
}

/**
 * Looks at the files again and again: notifications of the kernel miss what is mounted from elsewhere, and links that
 * are switched. Certificate and key are two files, so for a moment they may not fit: the next look sees whether they do.
 * @returns a function that ends the watch
 */
export function watchCertificate(
  files: CertificateFiles,
  { everyMs, current, onRenewed, onProblem }: CertificateWatch,
): () => void {
  let { certPem, keyPem } = current;
  // Unknown at first: they may have changed since `current` was read.
  let used: string | undefined;
  let failed: string | undefined;
  let told: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const now = await stateOf(files);
    if (now === used) return;
    try {
      const certificate = await readCertificate(files);
      // What changed while it was read is looked at again.
      if ((await stateOf(files)) !== now || stopped) return;
      used = now;
      if (certificate.certPem === certPem && certificate.keyPem === keyPem) return;
      ({ certPem, keyPem } = certificate);
      onRenewed(certificate);
    } catch (error) {
      // A first look may have come between the two files; a second one at the same has not.
      if (failed === now && told !== now) {
        told = now;
        onProblem(error);
      }
      failed = now;
    }
  };
  const turn = async (): Promise<void> => {
    await look();
    if (!stopped) timer = setTimeout(() => void turn(), everyMs);
  };
  timer = setTimeout(() => void turn(), everyMs);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Other bytes have another of these; a file that is missing is a state too. */
async function stateOf({ certFile, keyFile }: CertificateFiles): Promise<string> {
  const states = await Promise.all(
    [certFile, keyFile].map(async (file) => {
      const found = await stat(file).catch(() => undefined);
      return found === undefined ? "missing" : `${found.dev}-${found.ino}-${found.mtimeMs}-${found.size}`;
    }),
  );
  return states.join(" ");
}
