import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { unusedPort } from "../../test/support/unused-port.ts";
import { writeCertificate } from "./certificate.ts";
import type { Server, StartOptions } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

const setting = "Debian's configuration without its accounts: every write durable, a line of log a request";

interface Kind {
  readonly name: string;
  readonly program: () => string | null;
  readonly missing: string;
}

/** CNCF's registry; versions 2 and 3 take the same configuration. */
const distributionServer = ({ name, program, missing }: Kind): Server => ({
  name,
  setting,
  missing: () => (program() === null ? missing : undefined),
  async version() {
    const { output } = await run([program() ?? "", "--version"], { cwd: "/" });
    // The first word is where it lies.
    return output.trim().replace(/^\S+ /, "");
  },
  async start(options) {
    const data = options.bench.folder.make(name);
    const host = `127.0.0.1:${String(await unusedPort())}`;
    const file = join(options.bench.folder.make("configuration"), "config.yml");
    writeFileSync(file, configuration(host, data, options));
    return spawnServer({ command: [program() ?? "", "serve", file], host, data, options });
  },
});

function configuration(host: string, data: string, options: StartOptions): string {
  const files = options.tls === true ? writeCertificate(options.bench.folder.make("certificate")) : undefined;
  return Bun.YAML.stringify({
    version: "0.1",
    log: { fields: { service: "registry" } },
    storage: {
      cache: { blobdescriptor: "inmemory" },
      filesystem: { rootdirectory: data },
      delete: { enabled: true },
    },
    http: {
      addr: host,
      headers: { "X-Content-Type-Options": ["nosniff"] },
      ...(files && { tls: { certificate: files.cert, key: files.key } }),
    },
    health: { storagedriver: { enabled: true, interval: "10s", threshold: 3 } },
  });
}

export const dockerRegistry = distributionServer({
  name: "docker-registry",
  program: () => Bun.which("docker-registry"),
  missing: "docker-registry is not installed (Debian: docker-registry)",
});

export const distribution3 = distributionServer({
  name: "distribution",
  program: () => process.env["BENCH_DISTRIBUTION"] ?? null,
  missing:
    "BENCH_DISTRIBUTION does not name a program (go install github.com/distribution/distribution/v3/cmd/registry)",
});
