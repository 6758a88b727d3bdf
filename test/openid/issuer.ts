import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import type { Algorithm, IssuerStart, KeyRequest, Mischief, Signing, SignRequest } from "./issuer-process.ts";

/** An issuer in a process of its own, which ends with its owner. */
export interface TestIssuer extends AsyncDisposable {
  readonly url: string;
  /** Trust for its certificate, where it has one. */
  readonly caFile: string | undefined;
  /** Signs claims beside `iss`, `iat` and `exp`, which are right where they are not given. */
  sign(claims: Readonly<Record<string, unknown>>, signing?: Signing): Promise<string>;
  /** From now on it signs with another key. */
  useKey(algorithm: Algorithm, keepsOthers?: boolean): Promise<void>;
  /** What it does wrong from now on, and nothing else. */
  misbehave(mischief: Mischief): Promise<void>;
  /** What it was asked for, in order: its discovery document, its keys, and what nobody may ask. */
  asked(): Promise<readonly string[]>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

const dayMs = 86_400_000;
const lifetimeSeconds = 300;

export interface IssuerOptions {
  readonly tls?: true;
  /** Behind its host. */
  readonly path?: string;
}

export async function startIssuer(options: IssuerOptions = {}): Promise<TestIssuer> {
  const folder = await mkdtemp(join(tmpdir(), "berth-issuer-"));
  const caFile = options.tls && join(folder, "ca.pem");
  const tls =
    caFile === undefined
      ? undefined
      : selfSignedCertificate({
          hosts: ["127.0.0.1", "localhost"],
          from: new Date(Date.now() - dayMs),
          until: new Date(Date.now() + dayMs),
        });
  if (caFile !== undefined) await writeFile(caFile, tls?.certPem ?? "");
  const program = join(import.meta.dir, "issuer-process.ts");
  const start: IssuerStart = { path: options.path ?? "", ...(tls && { tls }) };
  const child = Bun.spawn([process.execPath, program, JSON.stringify(start)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const url = await firstLine(child.stdout);
  const ask = (path: string, body?: SignRequest | KeyRequest | Mischief): Promise<Response> =>
    fetch(`${url}/test/${path}`, {
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
      ...(tls && { tls: { ca: tls.certPem } }),
    });
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    url,
    caFile,
    async sign(claims, signing) {
      const iat = Math.floor(Date.now() / 1000);
      const whole = { iss: url, sub: "somebody", iat, exp: iat + lifetimeSeconds, ...claims };
      return (await ask("sign", { claims: whole, ...(signing && { signing }) })).text();
    },
    useKey: async (algorithm, keepsOthers = false) => void (await ask("key", { algorithm, keepsOthers })),
    misbehave: async (mischief) => void (await ask("mischief", mischief)),
    asked: async () => (await (await ask("asked")).json()) as readonly string[],
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\n");
    if (end !== -1) return text.slice(0, end);
  }
  throw new Error("the issuer did not start");
}
