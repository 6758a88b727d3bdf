import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { isIP, isIPv6 } from "node:net";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { selfSignedCertificate } from "../platform/certificates/self-signed-certificate.ts";
import { clientSteps } from "./client-steps.ts";
import { StartError, startStep } from "./start-error.ts";
import { addTlsStatus } from "./tls-status.ts";

const dayMs = 24 * 3_600_000;
/** Some clients refuse a server's certificate that is good for longer. */
const mostDays = 825;

interface Options {
  readonly host: readonly string[];
  readonly port: number;
  readonly days: number;
  readonly out: string;
  readonly force?: true;
  readonly json?: true;
}

/** `berth tls self-signed`: TLS for a network that has no certificate authority; and `berth tls status`. */
export function addTls(program: Command): void {
  const tls = program.command("tls").description("certificates");
  addTlsStatus(tls);
  tls
    .command("self-signed")
    .description("make a key and a certificate for this server, and tell how clients come to trust it")
    .requiredOption("--host <name...>", "DNS names and addresses that clients use, the first for the steps", addHost)
    .option("--port <port>", "the port that clients use", wholeNumber(65_535), 5000)
    .option("--days <days>", "how long it is good", wholeNumber(mostDays), mostDays)
    .option("--out <folder>", "where the two files go", "./tls")
    .option("--force", "replace what is there: clients must then trust the new one")
    .option("--json", "one JSON object, without the steps for clients")
    .action((options: Options) => startStep(`--out ${options.out}`, () => writePair(options)));
}

const dnsName = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

function addHost(text: string, earlier: readonly string[] = []): readonly string[] {
  const host = text.toLowerCase();
  if (host.includes("%") || (isIP(host) === 0 && !dnsName.test(host)))
    throw new InvalidArgumentError("It is neither a DNS name nor an address.");
  return [...earlier, host];
}

const wholeNumber =
  (most: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > most) throw new InvalidArgumentError(`It is a whole number from 1 to ${most}.`);
    return value;
  };

async function writePair({ host: hosts, port, days, out, force, json }: Options): Promise<void> {
  const folder = resolve(out);
  const [certFile, keyFile] = [join(folder, "berth.crt"), join(folder, "berth.key")];
  await mkdir(folder, { recursive: true, mode: 0o755 });
  for (const file of [certFile, keyFile]) {
    if (force !== true && (await isThere(file))) throw new StartError(`${file} is there already; --force replaces it`);
  }
  const now = Date.now();
  const until = new Date(now + (days - 1) * dayMs);
  const { certPem, keyPem } = selfSignedCertificate({
    hosts,
    // Clocks differ a little.
    from: new Date(now - dayMs),
    until,
  });
  // A new file, for the mode of one that is there would stay; the key first, for a server looks for both.
  await rm(keyFile, { force: true });
  await writeFile(keyFile, keyPem, { mode: 0o600, flag: "wx" });
  await writeFile(certFile, certPem, { mode: 0o644 });
  if (json) return void process.stdout.write(`${JSON.stringify({ hosts, certFile, keyFile, until })}\n`);
  const [host = ""] = hosts;
  process.stdout.write(clientSteps({ registry: `${isIPv6(host) ? `[${host}]` : host}:${port}`, certFile, keyFile }));
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
