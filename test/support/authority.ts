import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Issued {
  readonly certFile: string;
  readonly keyFile: string;
  readonly pem: string;
}

interface Wish {
  /** As openssl takes it: `/CN=ann`. */
  readonly subject: string;
  readonly alternativeNames?: string;
  readonly use?: "clientAuth" | "serverAuth";
}

/** An authority of openssl's, and the certificates that it signs, in a folder of its own. */
export interface Authority extends AsyncDisposable {
  readonly certFile: string;
  readonly issue: (name: string, wish: Wish) => Promise<Issued>;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

const ends = (file: string): readonly string[] => ["-keyout", `${file}.key`, "-out"];

export async function openAuthority(name: string): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), "berth-authority-"));
  const openssl = async (...args: readonly string[]): Promise<void> => {
    const child = Bun.spawn(["openssl", ...args], { cwd: folder, stdout: "ignore", stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new Error(`openssl ${args.join(" ")}: ${said}`);
  };
  await openssl("req", "-x509", ...newKey, ...ends("ca"), "ca.crt", "-subj", `/CN=${name}`, "-days", "9");
  return {
    certFile: join(folder, "ca.crt"),
    async issue(file, { subject, alternativeNames, use }) {
      await openssl("req", ...newKey, ...ends(file), `${file}.csr`, "-subj", subject, "-utf8");
      const lines = [alternativeNames && `subjectAltName=${alternativeNames}`, use && `extendedKeyUsage=${use}`];
      await Bun.write(join(folder, `${file}.cnf`), lines.filter(Boolean).join("\n"));
      const signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "5", "-extfile", `${file}.cnf`];
      await openssl("x509", "-req", "-in", `${file}.csr`, "-out", `${file}.crt`, ...signing);
      const certFile = join(folder, `${file}.crt`);
      return { certFile, keyFile: join(folder, `${file}.key`), pem: await readFile(certFile, "utf8") };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** As RFC 9440 writes it. */
export const asClientCert = (pem: string): string => `:${pem.replaceAll(/-----[^-]+-----|\s/g, "")}:`;

/** As nginx writes it. */
export const asEscapedPem = (pem: string): string => encodeURIComponent(pem);
