import { afterAll, expect, it } from "bun:test";
import { selfSignedCertificate } from "../certificates/self-signed-certificate.ts";
import type { Resolve } from "./find-address.ts";
import { guardedFetch } from "./guarded-fetch.ts";
import { OutboundError, type OutboundPolicy } from "./outbound.ts";

const day = 86_400_000;
const certificate = (from: number, until: number) =>
  selfSignedCertificate({ hosts: ["good.test", "127.0.0.1"], from: new Date(from), until: new Date(until) });

const now = Date.now();
const current = certificate(now - day, now + day);
const expired = certificate(now - 2 * day, now - day);
const serve = ({ certPem, keyPem }: typeof current) =>
  Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: certPem, key: keyPem },
    fetch: (request) => new Response(request.headers.get("host")),
  });
const [server, old] = [serve(current), serve(expired)];
const plain = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => Response.redirect(`https://good.test:${server.port}/`),
});
const downgrade = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert: current.certPem, key: current.keyPem },
  fetch: () => Response.redirect(`http://good.test:${plain.port}/`),
});
afterAll(() => Promise.all([server, old, plain, downgrade].map((one) => one.stop(true))));

const resolve: Resolve = async () => [{ address: "127.0.0.1", family: 4 }];
const policy: OutboundPolicy = {
  maxBodyBytes: 100,
  allow: ["127.0.0.0/8"],
  resolve,
  redirects: 2,
  ca: current.certPem,
};

async function outcome(url: string, change: Partial<OutboundPolicy> = {}): Promise<string> {
  try {
    const reply = await guardedFetch({ ...policy, ...change })({ url });
    return Buffer.from(await reply.bytes()).toString();
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    return error.fault;
  }
}

it("a host that an authority of the policy's vouches for is asked, by name and by address", async () => {
  expect(await outcome(`https://good.test:${server.port}/`)).toBe(`good.test:${server.port}`);
  expect(await outcome(`https://127.0.0.1:${server.port}/`)).toBe(`127.0.0.1:${server.port}`);
});

it.each([
  ["nobody vouches for", () => outcome(`https://good.test:${server.port}/`, { ca: undefined as never })],
  ["is another", () => outcome(`https://bad.test:${server.port}/`)],
  ["is expired", () => outcome(`https://good.test:${old.port}/`, { ca: expired.certPem })],
  ["speaks no TLS", () => outcome(`https://good.test:${plain.port}/`)],
])("a host that %s is told nothing", async (_what, ask) => {
  expect(await ask()).toBe("tls");
});

it("no variable of the environment switches that off", async () => {
  const program = `import { guardedFetch } from ${JSON.stringify(`${import.meta.dir}/guarded-fetch.ts`)};
    const send = guardedFetch({ maxBodyBytes: 10, allow: ["127.0.0.1"] });
    console.log(await send({ url: "https://127.0.0.1:${server.port}/" }).then(() => "asked", (error) => error.fault));`;
  const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "ignore", env });
  expect(await new Response(child.stdout).text()).toBe("tls\n");
}, 30_000);

it("a redirect leads into TLS, never out of it", async () => {
  expect(await outcome(`http://good.test:${plain.port}/`)).toBe(`good.test:${server.port}`);
  expect(await outcome(`https://good.test:${downgrade.port}/`)).toBe("redirect");
});
