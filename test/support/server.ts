import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");

/** One line of the server's log; `event` is "request" for the line that every request leaves. */
export interface LogLine {
  readonly event: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number;
  readonly userAgent?: string;
  readonly [field: string]: unknown;
}

export interface TestServer {
  readonly url: string;
  /** host:port, as image references want it. */
  readonly host: string;
  readonly data: string;
  /** Of the process that was started. */
  readonly pid: number;
  readonly admin: { readonly username: "admin"; readonly password: string };
  log(): readonly LogLine[];
  requests(): readonly LogLine[];
  /** Empties what was kept of the log: for runs of hours. */
  forgetLog(): void;
  /** Resolves when the log has every request that was answered before: the server writes it in batches. */
  logged(): Promise<void>;
  /** SIGTERM (or the given signal), then waits for the exit and the last of the log. The data folder stays until `dispose`. */
  stop(signal?: NodeJS.Signals): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServerOptions {
  /** Data folder of an earlier server; a new temporary one otherwise. */
  readonly data?: string;
  /** Settings as environment variables: BERTH_ACCESS_MODE, ... */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly args?: readonly string[];
  /** What to start: `bin/berth` of the checkout, or the built executable. */
  readonly binary?: string;
  readonly addr?: string;
}

/** So many processes serve where a test does not say it: the second pass over the protocol's tests has two. */
const workers = process.env["BERTH_TEST_WORKERS"];

/** In the name of a client that only asks so that its line comes last. */
const marker = "berth-test-logged-";
const password = "correct-horse-battery-staple";

/** Starts a real server on a free port of the loopback and waits until it listens. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), "berth-test-")));
  const command = [options.binary ?? join(root, "bin/berth"), "serve", "--addr", options.addr ?? "127.0.0.1:0"];
  const child = Bun.spawn([...command, "--data", data, ...(options.args ?? [])], {
    env: {
      ...withoutSettings(process.env),
      BERTH_ADMIN_PASSWORD: password,
      BERTH_HTTP_WORKERS: workers,
      ...options.env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: LogLine[] = [];
  const text: string[] = [];
  const listening = Promise.withResolvers<string>();
  const readLine = (line: string): void => {
    text.push(line);
    if (!line.startsWith("{")) return;
    const parsed = JSON.parse(line) as LogLine;
    lines.push(parsed);
    if (parsed.event === "listening") listening.resolve(parsed["url"] as string);
  };
  const reading = Promise.all([readLines(child.stdout, readLine), readLines(child.stderr, readLine)]);
  void child.exited.then((code) => {
    listening.reject(new Error(`the server stopped with ${String(code)} before it listened:\n${text.join("\n")}`));
  });
  const url = await listening.promise;
  const serving = Number(lines.find(({ event }) => event === "listening")?.["workers"] ?? 1);
  if (serving !== Number(options.env?.["BERTH_HTTP_WORKERS"] ?? workers ?? 1)) {
    child.kill("SIGKILL");
    throw new Error(`${serving} processes serve, not as many as the test wants`);
  }
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number> => {
    child.kill(signal);
    const code = await child.exited;
    await reading;
    return code;
  };
  return {
    url,
    host: new URL(url).host,
    data,
    pid: child.pid,
    admin: { username: "admin", password: options.env?.["BERTH_ADMIN_PASSWORD"] ?? password },
    log: () => lines,
    requests: () => lines.filter((line) => line.event === "request" && line.userAgent?.startsWith(marker) !== true),
    forgetLog() {
      lines.length = 0;
      text.length = 0;
    },
    async logged() {
      const userAgent = `${marker}${crypto.randomUUID()}`;
      await (await fetch(new URL("/healthz", url), { headers: { "user-agent": userAgent } })).arrayBuffer();
      for (const deadline = Date.now() + 10_000; !lines.some((line) => line.userAgent === userAgent);) {
        if (Date.now() > deadline) throw new Error("the server did not log a request within 10 s");
        await Bun.sleep(5);
      }
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop("SIGKILL");
      if (options.data === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}

/** A test's server has the settings that the test gives it, whatever the shell around the run has. */
export const withoutSettings = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !/^(?:BERTH|REGISTRY)_/.test(name)));

async function readLines(stream: ReadableStream<Uint8Array>, each: (line: string) => void): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) each(line);
  }
  if (rest !== "") each(rest);
}
