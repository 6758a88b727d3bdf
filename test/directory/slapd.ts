import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { unusedPort } from "../support/unused-port.ts";

const program = "/usr/sbin/slapd";
const loader = "/usr/sbin/slapadd";

/** Why there is no directory to test with. */
export const missingSlapd = [program, loader].every((path) => existsSync(path)) ? undefined : "slapd is not installed";

export const baseDn = "dc=example,dc=org";
export const readerDn = `cn=reader,${baseDn}`;
export const readerPassword = "reader-of-the-directory";

export interface SlapdOptions {
  /** LDIF behind the base, its two units and the reader. */
  readonly entries?: string;
  /** Names in its certificate. */
  readonly hosts?: readonly string[];
  /** It has none, and so no TLS. */
  readonly withoutTls?: boolean;
  /** Lines of its configuration behind the database's. */
  readonly settings?: readonly string[];
}

/** OpenLDAP in a process and a folder of its own, which end with their owner. */
export interface Slapd extends AsyncDisposable {
  readonly ldapUrl: string;
  readonly ldapsUrl: string;
  /** Trust for its certificate. */
  readonly caFile: string;
  readonly folder: string;
  /** Changes entries, by LDIF with `changetype`. */
  change(ldif: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

const rootPassword = "root-of-the-directory";
const dayMs = 86_400_000;

export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), "berth-slapd-"));
  const at = (name: string): string => join(folder, name);
  const [port, tlsPort] = [await unusedPort(), await unusedPort()];
  const { certPem, keyPem } = selfSignedCertificate({
    hosts: options.hosts ?? ["127.0.0.1", "localhost"],
    from: new Date(Date.now() - dayMs),
    until: new Date(Date.now() + dayMs),
  });
  await writeFile(at("server.crt"), certPem);
  await writeFile(at("server.key"), keyPem);
  await Bun.spawn(["mkdir", at("data")]).exited;
  await writeFile(at("slapd.conf"), configuration(folder, options));
  await writeFile(at("entries.ldif"), `${firstEntries}\n${options.entries ?? ""}`);
  await run([loader, "-f", at("slapd.conf"), "-l", at("entries.ldif"), "-q"]);
  const urls = [`ldap://127.0.0.1:${port}`, ...(options.withoutTls === true ? [] : [`ldaps://127.0.0.1:${tlsPort}`])];
  const launch = (): Running => runServer(folder, urls);
  let server = launch();
  await answers(port, server);
  const stop = async (): Promise<void> => {
    server.keeper.stdin.end();
    if (server.keeper.exitCode === null) await once(server.keeper, "exit");
  };
  const authority = ["-x", "-D", `cn=root,${baseDn}`, "-w", rootPassword, "-H", urls[0] ?? ""];
  return {
    ldapUrl: urls[0] ?? "",
    ldapsUrl: `ldaps://127.0.0.1:${tlsPort}`,
    caFile: at("server.crt"),
    folder,
    async change(ldif) {
      await writeFile(at("change.ldif"), ldif);
      await run(["ldapmodify", ...authority, "-f", at("change.ldif")]);
    },
    signal: (name) => void process.kill(server.pid(), name),
    kill: stop,
    async start() {
      server = launch();
      await answers(port, server);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await Bun.spawn(["rm", "-rf", folder]).exited;
    },
  };
}

interface Running {
  readonly keeper: ReturnType<typeof keep>;
  readonly pid: () => number;
}

function runServer(folder: string, urls: readonly string[]): Running {
  const keeper = keep([program, "-f", join(folder, "slapd.conf"), "-h", urls.join(" "), "-d", "0"]);
  let pid = 0;
  keeper.stdout.on("data", (chunk: Buffer) => (pid = Number(chunk.toString())));
  return { keeper, pid: () => pid };
}

/** The shell's standard input ends with us, even after SIGKILL, and the server with it, even where it stands still. */
function keep(server: readonly string[]) {
  const script = '"$@" >/dev/null 2>&1 </dev/null & server=$!; echo $server; cat; kill -KILL "$server"; wait "$server"';
  return spawn("sh", ["-c", script, "sh", ...server], { detached: true, stdio: ["pipe", "pipe", "ignore"] });
}

async function answers(port: number, { keeper, pid }: Running): Promise<void> {
  for (const deadline = Date.now() + 60_000; ;) {
    if (keeper.exitCode !== null || Date.now() > deadline) throw new Error("slapd did not start");
    const socket = connect({ host: "127.0.0.1", port });
    const isUp = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isUp && pid() > 0) return;
    await Bun.sleep(20);
  }
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${out}${error}`);
}

const schemas = ["core", "cosine", "inetorgperson", "nis"];

const configuration = (folder: string, { withoutTls, settings = [] }: SlapdOptions): string =>
  [
    ...schemas.map((name) => `include /etc/ldap/schema/${name}.schema`),
    `pidfile ${folder}/slapd.pid`,
    "modulepath /usr/lib/ldap",
    "moduleload back_mdb",
    ...(withoutTls === true
      ? []
      : [`TLSCertificateFile ${folder}/server.crt`, `TLSCertificateKeyFile ${folder}/server.key`]),
    // More than this comes in pages alone.
    "sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited",
    // What Active Directory has, and OpenLDAP has not by itself.
    "attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )",
    "attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )",
    "objectclass ( 1.3.6.1.4.1.99999.1 NAME 'adPerson' SUP top AUXILIARY MAY ( userAccountControl $ objectGUID ) )",
    "database mdb",
    `suffix ${baseDn}`,
    `directory ${folder}/data`,
    "maxsize 104857600",
    "dbnosync",
    `rootdn cn=root,${baseDn}`,
    `rootpw ${rootPassword}`,
    "index objectClass,uid,entryUUID,member eq",
    "access to attrs=userPassword by anonymous auth by * none",
    `access to * by dn.exact=${readerDn} read by * none`,
    ...settings,
    "",
  ].join("\n");

const firstEntries = `dn: ${baseDn}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,${baseDn}
objectClass: organizationalUnit
ou: people

dn: ou=groups,${baseDn}
objectClass: organizationalUnit
ou: groups

dn: ${readerDn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: ${readerPassword}
`;

/** LDIF of somebody. @param more other lines */
export const person = (uid: string, password: string, more: readonly string[] = []): string =>
  [
    `dn:: ${base64(`uid=${escapeDn(uid)},ou=people,${baseDn}`)}`,
    "objectClass: inetOrgPerson",
    ...more,
    `uid:: ${base64(uid)}`,
    `cn:: ${base64(uid)}`,
    "sn: Example",
    `mail:: ${base64(`${uid}@example.org`)}`,
    `userPassword:: ${base64(password)}`,
    "",
    "",
  ].join("\n");

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const escapeDn = (value: string): string => value.replaceAll(/[,+"\\<>;=# ]/g, (sign) => `\\${sign}`);
