import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { buildExecutable } from "../../scripts/build-executable.ts";
import { run } from "../../scripts/proof/run.ts";
import { unusedPort } from "../../test/support/unused-port.ts";
import { writeCertificate } from "./certificate.ts";
import type { Server } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

const root = resolve(import.meta.dir, "../..");
const executable = resolve(root, "dist/berth");

const password = "correct-horse-battery-staple";
export const adminBasic = `Basic ${btoa(`admin:${password}`)}`;

/** Berth as it is built, or another program that takes the same arguments. */
export const berthServer = (binary: string): Server => ({
  name: "berth",
  setting: "as it is: every push durable, a line of log a request, metrics on, one process",
  missing: () => undefined,
  async version() {
    return (await run([binary, "version"], { cwd: "/" })).output.trim();
  },
  async start(options) {
    const data = options.data ?? options.bench.folder.make("berth");
    const host = `127.0.0.1:${String(await unusedPort())}`;
    const files = options.tls === true ? writeCertificate(options.bench.folder.make("certificate")) : undefined;
    return spawnServer({
      command: [binary, "serve", "--addr", host, "--data", data],
      host,
      data,
      env: {
        BERTH_ADMIN_PASSWORD: password,
        ...(options.workers !== undefined && { BERTH_HTTP_WORKERS: String(options.workers) }),
        ...(files && { BERTH_TLS_CERT_FILE: files.cert, BERTH_TLS_KEY_FILE: files.key }),
      },
      authorization: adminBasic,
      options,
    });
  },
});

export const berth = berthServer(executable);

/** Builds `dist/berth` where it is missing, or older than what it is built of. */
export async function provideExecutable(): Promise<void> {
  const builtAt = existsSync(executable) ? statSync(executable).mtimeMs : 0;
  const sources = await Array.fromAsync(new Bun.Glob("src/**/*.ts").scan({ cwd: root }));
  if ([...sources, "package-lock.json"].every((path) => statSync(resolve(root, path)).mtimeMs < builtAt)) return;
  await buildExecutable({ root, outfile: executable });
}
