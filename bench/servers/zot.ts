import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { unusedPort } from "../../test/support/unused-port.ts";
import { writeCertificate } from "./certificate.ts";
import type { Server } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

const program = (): string => process.env["BENCH_ZOT"] ?? "";

export const zot: Server = {
  name: "zot",
  setting: "as it is, with commit: true, without which it syncs nothing",
  missing: () =>
    program() === "" ? "BENCH_ZOT does not name a program (built from zot's sources: make binary-minimal)" : undefined,
  async version() {
    const { output } = await run([program(), "--version"], { cwd: "/" });
    const [, commit = "unknown"] = /"commit":"([^"]+)"/.exec(output) ?? [];
    return `zot ${commit}`;
  },
  async start(options) {
    const data = options.bench.folder.make("zot");
    const host = `127.0.0.1:${String(await unusedPort())}`;
    const [address = "", port = ""] = host.split(":");
    const files = options.tls === true ? writeCertificate(options.bench.folder.make("certificate")) : undefined;
    const file = join(options.bench.folder.make("configuration"), "config.json");
    writeFileSync(
      file,
      JSON.stringify({
        storage: { rootDirectory: data, commit: true },
        http: { address, port, ...(files && { tls: files }) },
        log: { level: "info" },
      }),
    );
    return spawnServer({ command: [program(), "serve", file], host, data, options });
  },
};
