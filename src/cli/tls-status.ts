import { X509Certificate } from "node:crypto";
import type { Command } from "commander";
import { acmeFolder, type AcmeStatus } from "../platform/acme/acme-folder.ts";
import { CertificateError, type CertificateFiles, readCertificate } from "../platform/certificates/certificate.ts";
import type { Config } from "../platform/config/schema.ts";
import { type CommonOptions, readSettings, withCommonOptions } from "./settings.ts";

interface StatusOptions extends CommonOptions {
  readonly json?: true;
}

/** `berth tls status`: which certificate there is, also while the server runs. */
export function addTlsStatus(tls: Command): void {
  withCommonOptions(tls.command("status"))
    .description("tell which certificate there is and what went wrong last, with exit code 1 if it is not good now")
    .option("--json", "one JSON object")
    .action(async (options: StatusOptions) => {
      const status = await inspect(readSettings(options).config);
      process.stdout.write(options.json === true ? `${JSON.stringify(status, undefined, 2)}\n` : tell(status));
      if (!status.good) process.exitCode = 1;
    });
}

interface TlsStatus {
  /** Whether clients are met with a certificate that is valid now; without TLS there is none to be met with. */
  readonly good: boolean;
  readonly source: "none" | "files" | "authority";
  readonly authority?: string;
  readonly certificate?: {
    readonly names: string;
    readonly issuer: string;
    readonly from: string;
    readonly until: string;
  };
  readonly problem?: string;
  readonly nextAttempt?: string;
  readonly failures?: number;
  readonly lastFailure?: { readonly at: string; readonly reason: string };
}

async function inspect({ data, tls }: Config): Promise<TlsStatus> {
  const { certFile, keyFile } = tls;
  const { hosts, directoryUrl } = tls.acme;
  if (hosts !== undefined) {
    const folder = acmeFolder(data, directoryUrl);
    const files = { certFile: folder.certificateFile, keyFile: folder.certificateFile };
    const found = await certificateIn(files, hosts);
    return { source: "authority", authority: directoryUrl, ...found, ...statusOf(await folder.readStatus()) };
  }
  if (certFile === undefined || keyFile === undefined) return { source: "none", good: true };
  return { source: "files", ...(await certificateIn({ certFile, keyFile }, [])) };
}

async function certificateIn(files: CertificateFiles, hosts: readonly string[]) {
  try {
    const found = new X509Certificate((await readCertificate(files)).certPem);
    const certificate = {
      names: found.subjectAltName ?? "",
      issuer: found.issuer.replaceAll("\n", ", "),
      from: found.validFromDate.toISOString(),
      until: found.validToDate.toISOString(),
    };
    const problem = problemOf(found, hosts);
    return { good: problem === undefined, certificate, ...(problem !== undefined && { problem }) };
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return { good: false, problem: hosts.length === 0 ? error.message : "there is none yet" };
  }
}

function problemOf(certificate: X509Certificate, hosts: readonly string[]): string | undefined {
  const now = Date.now();
  if (certificate.validFromDate.getTime() > now) return "it is not valid yet";
  if (certificate.validToDate.getTime() <= now) return "it has expired";
  const missing = hosts.find((host) => certificate.checkHost(host) === undefined);
  return missing && `it is not for ${missing}`;
}

function statusOf(status: AcmeStatus | undefined) {
  if (status === undefined) return {};
  const { failures, failedAtMs, reason = "", nextAttemptAtMs } = status;
  return {
    failures,
    ...(nextAttemptAtMs !== undefined && { nextAttempt: new Date(nextAttemptAtMs).toISOString() }),
    ...(failedAtMs !== undefined && { lastFailure: { at: new Date(failedAtMs).toISOString(), reason } }),
  };
}

function tell({ source, authority, certificate, problem, failures = 0, ...more }: TlsStatus): string {
  if (source === "none") return "there is no TLS: neither tls.certFile nor tls.acme.hosts is set\n";
  const lines = [
    `certificate   from ${authority ?? "files"}`,
    ...(certificate === undefined
      ? []
      : [
          `for           ${certificate.names}`,
          `issued by     ${certificate.issuer}`,
          `valid         ${certificate.from} to ${certificate.until}`,
        ]),
    ...(problem === undefined ? [] : [`problem       ${problem}`]),
    ...(more.nextAttempt === undefined ? [] : [`next attempt  ${more.nextAttempt}`]),
    ...(more.lastFailure === undefined
      ? []
      : [`last failure  ${more.lastFailure.at}: ${more.lastFailure.reason} (${failures} in a row)`]),
  ];
  return `${lines.join("\n")}\n`;
}
