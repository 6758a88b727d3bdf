import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { unusedPort } from "../support/unused-port.ts";

const programs = ["pebble", "pebble-challtestsrv"] as const;
const missing = programs.find((program) => Bun.which(program) === null);

/** Why there is no authority to test with. */
export const missingPebble = missing && `${missing} is not installed`;

export interface PebbleOptions {
  readonly validitySeconds?: number;
  readonly externalAccount?: { readonly keyId: string; readonly hmacKey: string };
  /** How many of a hundred good nonces it refuses. */
  readonly nonceRejects?: number;
}

/** Let's Encrypt's own authority for tests; every name leads it to 127.0.0.1. */
export interface Pebble extends AsyncDisposable {
  readonly directoryUrl: string;
  /** Trust for the authority's own address. */
  readonly caFile: string;
  /** Where it looks for http-01 and for tls-alpn-01, and nowhere else. */
  readonly httpPort: number;
  readonly tlsPort: number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The root of what it gives out, which is another one after each start. */
  root(): Promise<string>;
  /** Its log. */
  output(): string;
}

const dayMs = 86_400_000;

/** Not started yet. */
export async function preparePebble(options: PebbleOptions = {}): Promise<Pebble> {
  const folder = await mkdtemp(join(tmpdir(), "berth-pebble-"));
  const at = (name: string): string => join(folder, name);
  const own = selfSignedCertificate({
    hosts: ["127.0.0.1"],
    from: new Date(Date.now() - dayMs),
    until: new Date(Date.now() + dayMs),
  });
  await writeFile(at("own.crt"), own.certPem);
  await writeFile(at("own.key"), own.keyPem);
  const [port, managementPort, httpPort, tlsPort, dnsPort, dnsManagementPort] = [
    await unusedPort(),
    await unusedPort(),
    await unusedPort(),
    await unusedPort(),
    await unusedPort(),
    await unusedPort(),
  ];
  const { externalAccount, validitySeconds } = options;
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: at("own.crt"),
    privateKey: at("own.key"),
    httpPort,
    tlsPort,
    ocspResponderURL: "",
    externalAccountBindingRequired: externalAccount !== undefined,
    ...(externalAccount && { externalAccountMACKeys: { [externalAccount.keyId]: externalAccount.hmacKey } }),
    ...(validitySeconds !== undefined && { certificateValidityPeriod: validitySeconds }),
  };
  await writeFile(at("config.json"), JSON.stringify({ pebble }));
  const env = {
    ...process.env,
    PEBBLE_VA_NOSLEEP: "1",
    PEBBLE_WFE_NONCEREJECT: String(options.nonceRejects ?? 5),
    PEBBLE_AUTHZREUSE: "0",
  };
  const names = ["-dns01", `127.0.0.1:${dnsPort}`, "-management", `127.0.0.1:${dnsManagementPort}`];
  const noChallenges = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""];
  const dns = Bun.spawn(["pebble-challtestsrv", ...names, ...noChallenges], { stdout: "ignore", stderr: "ignore" });
  let authority: ReturnType<typeof start> | undefined;
  let output = "";
  const start = () => {
    const command = ["pebble", "-config", at("config.json"), "-dnsserver", `127.0.0.1:${dnsPort}`];
    const child = Bun.spawn(command, { env, stdout: "pipe", stderr: "ignore" });
    void (async () => {
      for await (const chunk of child.stdout) output += new TextDecoder().decode(chunk);
    })();
    return child;
  };
  const directoryUrl = `https://127.0.0.1:${port}/dir`;
  const trusting = { tls: { ca: own.certPem } };
  const stop = async (): Promise<void> => {
    authority?.kill("SIGKILL");
    await authority?.exited;
    authority = undefined;
  };
  return {
    directoryUrl,
    caFile: at("own.crt"),
    httpPort,
    tlsPort,
    async start() {
      authority = start();
      for (const deadline = Date.now() + 30_000; ; await Bun.sleep(20)) {
        const answer = await fetch(directoryUrl, trusting).catch(() => undefined);
        if (answer?.ok === true) return;
        if (Date.now() > deadline) throw new Error(`pebble does not answer:\n${output}`);
      }
    },
    stop,
    root: async () => (await fetch(`https://127.0.0.1:${managementPort}/roots/0`, trusting)).text(),
    output: () => output,
    async [Symbol.asyncDispose]() {
      await stop();
      dns.kill("SIGKILL");
      await dns.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Started. */
export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  const pebble = await preparePebble(options);
  await pebble.start();
  return pebble;
}
