import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { unusedPort } from "../../test/support/unused-port.ts";
import { ociManifest } from "../../src/oci/media-type.ts";
import { writeCertificate } from "./certificate.ts";
import type { Server } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

const program = Bun.which("nginx") ?? Bun.which("/usr/sbin/nginx");

/** The same bytes as files: what the machine can do, with nobody to be asked and nothing to be known. */
export const nginx: Server = {
  name: "nginx",
  setting: "static files, one worker, sendfile, no access log",
  missing: () => (program === null ? "nginx is not installed (Debian: nginx-light)" : undefined),
  async version() {
    return (await run([program ?? "", "-v"], { cwd: "/" })).output.trim();
  },
  async start(options) {
    const folder = options.bench.folder.make("nginx");
    const data = join(folder, "files");
    // What shows that it answers.
    mkdirSync(join(data, "v2"), { recursive: true });
    const host = `127.0.0.1:${String(await unusedPort())}`;
    const files = options.tls === true ? writeCertificate(folder) : undefined;
    const listen = files
      ? `listen ${host} ssl; ssl_certificate ${files.cert}; ssl_certificate_key ${files.key};`
      : `listen ${host};`;
    writeFileSync(join(folder, "nginx.conf"), configuration(folder, listen));
    const command = [program ?? "", "-p", folder, "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")];
    return { ...(await spawnServer({ command, host, data, options })), files: data };
  },
};

const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
const configuration = (folder: string, listen: string): string => `
daemon off;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  default_type ${ociManifest};
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ")}
  server { ${listen} root ${folder}/files; }
}
`;
