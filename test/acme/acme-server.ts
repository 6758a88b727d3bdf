import { startServer, type ServerOptions, type TestServer } from "../support/server.ts";
import type { Pebble } from "./pebble.ts";

export const host = "registry.example.org";

/** A server that has its certificate from this authority, which looks for it on these ports. */
export const startAcmeServer = (
  pebble: Pebble,
  challenge: "http-01" | "tls-alpn-01",
  options: ServerOptions = {},
): Promise<TestServer> =>
  startServer({
    ...options,
    addr: `127.0.0.1:${pebble.tlsPort}`,
    env: {
      BERTH_TLS_ACME_HOSTS: host,
      BERTH_TLS_ACME_AGREE_TO_TERMS: "true",
      BERTH_TLS_ACME_DIRECTORY_URL: pebble.directoryUrl,
      BERTH_TLS_ACME_CA_FILE: pebble.caFile,
      BERTH_TLS_ACME_CHALLENGE: challenge,
      BERTH_TLS_ACME_HTTP_ADDR: `127.0.0.1:${pebble.httpPort}`,
      ...options.env,
    },
  });

const trusting = { tls: { rejectUnauthorized: false } };

/** Asks whatever the certificate is. */
export const askAnyway = (server: TestServer, path: string): Promise<Response> =>
  fetch(`${server.url}${path}`, trusting);

export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 120_000): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await isSo()); await Bun.sleep(20))
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
}

export const count = (server: TestServer, event: string): number =>
  server.log().filter((line) => line.event === event).length;

export const untilLogged = (server: TestServer, event: string, times = 1): Promise<void> =>
  until(`"${event}" ${times} times in the log`, () => count(server, event) >= times);
