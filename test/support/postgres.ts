import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, chownSync, constants, readFileSync, readdirSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Client } from "pg";

export interface PostgresOptions {
  /** Over those that make it quick, and let it lose what it acknowledged when it crashes. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A throw-away cluster. It ends with its owner, however the owner ends. */
export interface PostgresCluster extends AsyncDisposable {
  /** Of the maintenance database, as a superuser. */
  readonly url: string;
  readonly folder: string;
  /** Ends the server as `pg_ctl stop -m immediate` does: as a crash, without a word to anyone. */
  crash(): Promise<void>;
  /** Starts it again behind a crash, on the same port; resolves when it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The folder with `initdb` and `postgres`, or why there is none. */
export type PostgresPrograms = { readonly bin: string } | { readonly missing: string };

const debianVersions = "/usr/lib/postgresql";

/** The newest of Debian's versions, else what is on PATH. */
export function findPostgres(path = process.env["PATH"] ?? "", versions = debianVersions): PostgresPrograms {
  const debian = folderNames(versions)
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(versions, version, "bin"));
  const bin = [...debian, ...path.split(delimiter)].find((folder) =>
    ["initdb", "postgres"].every((name) => isExecutable(join(folder, name))),
  );
  if (bin === undefined) return { missing: "PostgreSQL is not installed (initdb, postgres)" };
  if (process.getuid?.() === 0 && serverAccount() === undefined)
    return { missing: "PostgreSQL refuses to run as root, and there is no account named postgres" };
  return { bin };
}

/** Starts a cluster on a free port of the loopback. Nothing in it survives a crash: that is what makes it quick. */
export async function startPostgres(bin: string, options: PostgresOptions = {}): Promise<PostgresCluster> {
  const folder = await mkdtemp(join(tmpdir(), "berth-postgres-"));
  const account = process.getuid?.() === 0 ? serverAccount() : undefined;
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  const asAccount =
    account === undefined
      ? []
      : ["setpriv", `--reuid=${String(account.uid)}`, `--regid=${String(account.gid)}`, "--clear-groups"];
  const port = await freePort();
  const data = join(folder, "data");
  const initOptions = ["--no-sync", "--auth=trust", "--username=berth", "--encoding=UTF8", "--locale=C"];
  const initdb = [...asAccount, join(bin, "initdb"), ...initOptions, "-D", data];
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    max_connections: "200",
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = [...asAccount, join(bin, "postgres"), "-D", data, ...flags];
  const keeper = startKeeper(folder, initdb, server);
  const url = `postgres://berth@127.0.0.1:${String(port)}/postgres`;
  const stop = async (): Promise<void> => {
    keeper.stdin.end();
    if (keeper.exitCode === null) await once(keeper, "exit");
  };
  try {
    await answers(url, () => keeper.exitCode !== null);
  } catch (error) {
    const log = readLog(folder);
    await stop();
    throw new Error(`PostgreSQL did not start:\n${log}`, { cause: error });
  }
  const order = async (name: "crash" | "start"): Promise<void> => {
    const done = once(keeper.stdout, "data");
    keeper.stdin.write(`${name}\n`);
    await done;
  };
  return {
    url,
    folder,
    crash: () => order("crash"),
    async start() {
      await order("start");
      await answers(url, () => keeper.exitCode !== null);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * The shell that owns the server in a session of its own: it waits for the end of its standard input, which the
 * kernel closes for us even after SIGKILL, then stops the server and removes its folder.
 */
function startKeeper(folder: string, initdb: readonly string[], server: readonly string[]) {
  const script = `
    folder=$1; shift
    cd "$folder" || exit 1
    ${initdb.map(quote).join(" ")} >log 2>&1 || { cat >/dev/null; rm -rf "$folder"; exit 1; }
    launch() {
      ${server.map(quote).join(" ")} >>log 2>&1 </dev/null &
      server=$!
    }
    launch
    while read -r order; do
      case $order in
        crash) kill -QUIT "$server" && wait "$server" ;;
        start) launch ;;
      esac
      echo done
    done
    kill -INT "$server" 2>/dev/null
    wait "$server"
    rm -rf "$folder"`;
  return spawn("sh", ["-c", script, "sh", folder], { detached: true, stdio: ["pipe", "pipe", "ignore"] });
}

async function answers(url: string, gone: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const client = new Client({ connectionString: url });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.query("select 1");
      return;
    } catch (error) {
      if (gone() || Date.now() > deadline) throw error;
      await Bun.sleep(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function serverAccount(): { readonly uid: number; readonly gid: number } | undefined {
  const line = readFileSync("/etc/passwd", "utf8").match(/^postgres:[^:]*:(\d+):(\d+):/m);
  return line === null ? undefined : { uid: Number(line[1]), gid: Number(line[2]) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("the loopback gave no port");
  return address.port;
}

function folderNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function readLog(folder: string): string {
  try {
    return readFileSync(join(folder, "log"), "utf8");
  } catch {
    return "(no log)";
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
