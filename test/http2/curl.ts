import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "bun:test";

export type Version = "1.1" | "2";

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Without a length: curl reads it from its standard input. */
  readonly streamed?: boolean;
}

export interface Answered {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** Sends one request by curl. */
export async function curl(version: Version, url: string, sent: Sent = {}): Promise<Answered> {
  const folder = await mkdtemp(join(tmpdir(), "berth-curl-"));
  const at = (name: string): string => join(folder, name);
  try {
    const { method = "GET", headers = {}, body, streamed = false } = sent;
    if (body !== undefined) await Bun.write(at("sent"), body);
    const known = ["--silent", "--show-error", "--insecure", "--path-as-is", "--max-time", "60", `--http${version}`];
    const kept = ["--dump-header", at("headers"), "--output", at("body"), "--write-out", "%{http_version}"];
    // Nobody asks for leave to send a body.
    const sentHeaders = Object.entries({ ...headers, "User-Agent": "comparison" }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const command = [
      "curl",
      ...known,
      ...kept,
      ...(method === "HEAD" ? ["--head"] : ["--request", method]),
      ...[...sentHeaders, "Expect:"].flatMap((line) => ["--header", line]),
      ...(body === undefined ? [] : streamed ? ["--upload-file", "-"] : ["--data-binary", `@${at("sent")}`]),
      url,
    ];
    const stdin = streamed ? Bun.file(at("sent")) : ("ignore" as const);
    const child = Bun.spawn(command, { stdin, stdout: "pipe", stderr: "pipe" });
    const [used, problem] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    const exitCode = await child.exited;
    const head = await Bun.file(at("headers")).text();
    // A server that refuses need not take the rest: curl calls that a failure to send, and has the answer.
    if (exitCode !== 0 && head === "") throw new Error(`curl: ${problem}`);
    expect(used).toBe(version);
    return { ...parseHead(head), body: method === "HEAD" ? Buffer.alloc(0) : await readIfThere(at("body")) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const readIfThere = async (file: string): Promise<Buffer> =>
  (await Bun.file(file).exists()) ? Buffer.from(await Bun.file(file).bytes()) : Buffer.alloc(0);

function parseHead(text: string): { readonly status: number; readonly headers: ReadonlyMap<string, string> } {
  const last = text.trim().split("\r\n\r\n").at(-1) ?? "";
  const [first = "", ...lines] = last.split("\r\n");
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(first.split(" ")[1]), headers: new Map(headers) };
}
