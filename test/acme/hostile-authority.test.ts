import { afterEach, beforeEach, describe, expect, it } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { acmeFolder, type AcmeStatus } from "../../src/platform/acme/acme-folder.ts";
import type { Ask } from "../../src/platform/acme/authority.ts";
import type { Challenge } from "../../src/platform/acme/challenge.ts";
import { keepCertificate, keptLifetime } from "../../src/platform/acme/keep-certificate.ts";
import { readCertificate } from "../../src/platform/certificates/certificate.ts";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { directoryUrl, fakeAuthority, issue, type Mischief } from "./fake-authority.ts";

const host = "registry.example.org";
const dayMs = 24 * 3_600_000;
const other = selfSignedCertificate({ hosts: [host], from: new Date(), until: new Date(Date.now() + dayMs) });

let data = "";
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "berth-acme-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

interface Outcome {
  readonly obtained: boolean;
  readonly reason: string;
  readonly status: AcmeStatus;
  /** What was shown to the authority. */
  readonly answered: readonly Challenge[];
}

/** One attempt, until it has come to an end. */
async function attempt(ask: Ask): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Omit<Outcome, "answered">>();
  const answered: Challenge[] = [];
  const keeper = keepCertificate(
    { hosts: [host], directoryUrl, email: undefined, externalAccount: undefined },
    {
      folder: acmeFolder(data, directoryUrl),
      ask,
      responder: {
        type: "http-01",
        async answer(challenges) {
          answered.push(...challenges);
          return async () => undefined;
        },
      },
      onObtained: () => resolve({ obtained: true, reason: "", status: keeper.status() }),
      onFailed: (error, status) =>
        resolve({ obtained: false, reason: error instanceof Error ? error.message : String(error), status }),
    },
  );
  const outcome = await promise;
  await keeper.stop();
  return { ...outcome, answered };
}

const keptFile = (): string => acmeFolder(data, directoryUrl).certificateFile;

it("keeps what an honest authority gives, and nothing else beside it", async () => {
  const { obtained, answered } = await attempt(fakeAuthority(host).ask);
  expect(obtained).toBe(true);
  expect(answered.map((one) => one.host)).toEqual([host]);
  expect(answered[0]?.keyAuthorization).toMatch(/^a-token-of-16-characters\.[A-Za-z0-9_-]{43}$/);
  const { certPem } = await readCertificate({ certFile: keptFile(), keyFile: keptFile() });
  expect(certPem).toContain("BEGIN CERTIFICATE");
  expect((await readdir(dirname(keptFile()))).toSorted()).toEqual(["account.json", "certificate.pem", "status.json"]);
});

const replace =
  (path: string, body: unknown, more: object = {}): Mischief =>
  (asked) =>
    asked === path ? { body, ...more } : undefined;
const certificate =
  (make: (csr: Buffer) => string): Mischief =>
  (path, _right, csr) =>
    path === "/certificate" ? { body: make(csr ?? Buffer.alloc(0)) } : undefined;
const changed =
  (path: string, change: object): Mischief =>
  (asked, right) =>
    asked === path ? { ...right, body: { ...(right.body as object), ...change } } : undefined;

const mischiefs: Readonly<Record<string, readonly [mischief: Mischief, told: string]>> = {
  "a page in the place of its directory": [replace("/directory", "<html>"), "the authority's directory is none"],
  "an empty directory": [replace("/directory", {}), "the authority's directory is none"],
  "JSON as deep as it fits": [replace("/directory", "[".repeat(200_000)), "the authority's directory is none"],
  "addresses without TLS": [
    changed("/directory", { newOrder: "http://ca.test/order" }),
    "the authority's directory is none",
  ],
  "another scheme": [changed("/directory", { newNonce: "file:///etc/passwd" }), "the authority's directory is none"],
  "no nonce": [(path) => (path === "/nonce" ? { headers: { "replay-nonce": "" } } : undefined), "gives no nonce"],
  "a nonce that is none": [
    (path) => (path === "/nonce" ? { headers: { "replay-nonce": "a\r\nb: c" } } : undefined),
    "gives no nonce",
  ],
  "no nonce that it takes": [
    replace("/account", { type: "urn:ietf:params:acme:error:badNonce" }, { status: 400 }),
    "the authority answers 400: badNonce",
  ],
  "an external account that nobody has": [
    changed("/directory", { meta: { externalAccountRequired: true } }),
    "set tls.acme.externalAccount",
  ],
  "no account": [replace("/account", {}, { headers: {} }), "the authority names no account"],
  "an order without an address": [(path) => (path === "/order" ? { headers: {} } : undefined), "where the order is"],
  "more questions than hosts can be": [
    changed("/order", { authorizations: Array.from({ length: 101 }, () => "https://ca.test/authorization") }),
    "the authority's order is none",
  ],
  "a question about somebody else": [
    changed("/authorization", { identifier: { type: "dns", value: "other.example.org" } }),
    "a host that was not ordered",
  ],
  "a token that is a path": [
    changed("/authorization", {
      challenges: [{ type: "http-01", url: "https://ca.test/challenge", token: "../../../../etc/passwd" }],
    }),
    `the authority offers no http-01 for ${host}`,
  ],
  "no way that we know": [changed("/authorization", { challenges: [] }), "the authority offers no http-01"],
  "a host that it does not find": [
    changed("/authorization", {
      status: "invalid",
      challenges: [
        {
          type: "http-01",
          url: "https://ca.test/challenge",
          token: "a-token-of-16-characters",
          error: { type: "urn:ietf:params:acme:error:dns", detail: "no such name" },
        },
      ],
    }),
    `${host} is not shown to be ours: dns: no such name`,
  ],
  "an order that it lets fall": [changed("/order/1", { status: "invalid" }), "the order is invalid"],
  "a certificate that is none": [certificate(() => "no certificate"), "is none in PEM"],
  "a damaged certificate": [
    certificate((csr) => issue({ csr, hosts: [host] }).replace(/\n[A-Za-z0-9+/]{64}/, "\nAAAA")),
    "is damaged",
  ],
  "a certificate for another key": [certificate(() => other.certPem), "is for another key"],
  "a certificate for another host": [
    certificate((csr) => issue({ csr, hosts: ["a.example.org"] })),
    `is not for ${host}`,
  ],
  "a certificate of yesterday": [
    certificate((csr) => issue({ csr, hosts: [host], untilMs: Date.now() - dayMs })),
    "has expired",
  ],
  "a chain of strangers": [
    certificate((csr) => `${issue({ csr, hosts: [host] })}${other.certPem}`),
    "a certificate is not signed by the next",
  ],
  "an endless chain": [certificate((csr) => issue({ csr, hosts: [host] }).repeat(200)), "chain is too long"],
  "somebody else's key beside a certificate": [
    certificate((csr) => {
      const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return issue({ csr, hosts: [host], publicKey });
    }),
    "is for another key",
  ],
};

describe("from an authority with", () => {
  for (const [name, [mischief, told]] of Object.entries(mischiefs)) {
    it(`${name} nothing is kept`, async () => {
      const { ask, asked } = fakeAuthority(host, mischief);
      const { obtained, reason, status, answered } = await attempt(ask);
      expect(obtained).toBe(false);
      expect(reason).toContain(told);
      expect(status.failures).toBe(1);
      expect(asked.length).toBeLessThan(40);
      if (name.startsWith("a question") || name.startsWith("a token")) expect(answered).toEqual([]);
      expect(await keptLifetime(keptFile(), [host])).toBeUndefined();
      expect((await readdir(data, { recursive: true })).filter((file) => file.endsWith("order.json"))).toEqual([]);
    });
  }
});

const refuse = (detail: string, headers: Readonly<Record<string, string>> = {}): Mischief =>
  replace("/order", { type: "urn:ietf:params:acme:error:rateLimited", detail }, { status: 429, headers });

describe("what a refusal says", () => {
  it("is cut, and has nothing in it that is not for a log", async () => {
    const { reason } = await attempt(fakeAuthority(host, refuse(`a\u001b[31m\r\nb\u2028c${"x".repeat(200_000)}`)).ask);
    expect(reason).toStartWith("the authority answers 429: rateLimited: a [31m b cxxx");
    expect(reason.length).toBeLessThan(400);
  });

  it.each([
    ["120", 120_000, 130_000],
    [new Date(Date.now() + 7_200_000).toUTCString(), 7_000_000, 7_300_000],
    ["999999999", dayMs - 1000, dayMs + 1000],
    ["soon", 40_000, 80_000],
    ["-5", 40_000, 80_000],
  ])("%s is when it is asked again, within reason", async (retryAfter, leastMs, mostMs) => {
    const { status } = await attempt(fakeAuthority(host, refuse("", { "retry-after": retryAfter })).ask);
    const pauseMs = (status.nextAttemptAtMs ?? 0) - (status.failedAtMs ?? 0);
    expect(pauseMs).toBeGreaterThanOrEqual(leastMs);
    expect(pauseMs).toBeLessThanOrEqual(mostMs);
  });
});

const hanging: Ask = ({ signal }) =>
  new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));

it("an end does not wait for an authority that does not answer, nor for one that never comes to an end", async () => {
  const processing = fakeAuthority(host, changed("/order/1", { status: "processing" }));
  for (const ask of [hanging, processing.ask]) {
    const failed: unknown[] = [];
    const keeper = keepCertificate(
      { hosts: [host], directoryUrl, email: undefined, externalAccount: undefined },
      {
        folder: acmeFolder(data, directoryUrl),
        ask,
        responder: { type: "http-01", answer: async () => async () => undefined },
        onObtained: () => failed.push("obtained"),
        onFailed: (error) => failed.push(error),
      },
    );
    await Bun.sleep(100);
    await keeper.stop();
    expect(failed).toEqual([]);
  }
});

it("a new certificate that the disk does not take costs no second one", async () => {
  const { ask, asked } = fakeAuthority(host);
  const folder = acmeFolder(data, directoryUrl);
  const full = { ...folder, writeCertificate: () => Promise.reject(new Error("ENOSPC")) };
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const deps = {
    ask,
    responder: { type: "http-01", answer: async () => async () => undefined } as const,
    onObtained: () => resolve(undefined),
    onFailed: resolve,
  };
  const wish = { hosts: [host], directoryUrl, email: undefined, externalAccount: undefined };
  const first = keepCertificate(wish, { ...deps, folder: full });
  expect(String(await promise)).toContain("ENOSPC");
  await first.stop();
  const obtained = Promise.withResolvers<boolean>();
  const second = keepCertificate(wish, {
    ...deps,
    folder,
    onObtained: () => obtained.resolve(true),
    onFailed: () => obtained.resolve(false),
  });
  expect(await obtained.promise).toBe(true);
  await second.stop();
  expect(asked.filter((path) => path === "/order")).toHaveLength(1);
  expect(asked.filter((path) => path === "/finalize")).toHaveLength(1);
  expect(await readFile(keptFile(), "utf8")).toContain("BEGIN PRIVATE KEY");
});
