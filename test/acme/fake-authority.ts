import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Ask } from "../../src/platform/acme/authority.ts";
import { alternativeNames } from "../../src/platform/certificates/alternative-names.ts";
import { bits, integer, objectId, sequence, set, tagged, text, time } from "../../src/platform/certificates/der.ts";

export interface FakeReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface FakeAuthority {
  readonly ask: Ask;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
}

const origin = "https://ca.test";
export const directoryUrl = `${origin}/directory`;
const hourMs = 3_600_000;

/** Answers of one's own in the place of the right ones, by path; `undefined` leaves the right one. */
export type Mischief = (path: string, right: FakeReply, csr: Buffer | undefined) => FakeReply | undefined;

const order = (status: string) => ({
  status,
  authorizations: [`${origin}/authorization`],
  finalize: `${origin}/finalize`,
  ...(status === "valid" && { certificate: `${origin}/certificate` }),
});

const challenge = (type: string) => ({
  type,
  url: `${origin}/challenge`,
  token: "a-token-of-16-characters",
  status: "pending",
});

/** An authority of one process that believes everything, with one order. */
export function fakeAuthority(host: string, mischief: Mischief = () => undefined): FakeAuthority {
  let nonces = 0;
  let csr: Buffer | undefined;
  const asked: string[] = [];
  let authorized = false;
  const stateOfOrder = (): string => (csr !== undefined ? "valid" : authorized ? "ready" : "pending");
  const answers: Readonly<Record<string, () => FakeReply>> = {
    "/directory": () => ({
      body: { newNonce: `${origin}/nonce`, newAccount: `${origin}/account`, newOrder: `${origin}/order` },
    }),
    "/nonce": () => ({}),
    "/account": () => ({ status: 201, headers: { location: `${origin}/account/1` }, body: { status: "valid" } }),
    "/order": () => ({ status: 201, headers: { location: `${origin}/order/1` }, body: order("pending") }),
    "/order/1": () => ({ body: order(stateOfOrder()) }),
    "/authorization": () => ({
      body: {
        status: authorized ? "valid" : "pending",
        identifier: { type: "dns", value: host },
        challenges: [{ type: "dns-01", url: 1 }, challenge("http-01"), challenge("tls-alpn-01")],
      },
    }),
    "/challenge": () => {
      authorized = true;
      return { body: challenge("http-01") };
    },
    "/finalize": () => ({ body: order("processing") }),
    "/certificate": () => ({ body: issue({ csr: csr ?? Buffer.alloc(0), hosts: [host] }) }),
  };
  return {
    asked,
    async ask({ url, body, signal }) {
      signal?.throwIfAborted();
      const { pathname } = new URL(url);
      asked.push(pathname);
      if (pathname === "/finalize") csr = csrOf(body ?? "");
      const right = answers[pathname]?.() ?? { status: 404 };
      const reply = { ...right, ...mischief(pathname, right, csr) };
      const content = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {});
      const headers = new Map(Object.entries({ "replay-nonce": `nonce-${nonces++}`, ...reply.headers }));
      return { status: reply.status ?? 200, headers, bytes: async () => Buffer.from(content) };
    },
  };
}

function csrOf(body: string): Buffer {
  const { payload } = JSON.parse(body) as { payload: string };
  const { csr } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { csr: string };
  return Buffer.from(csr, "base64url");
}

/** Before the point of every P-256 key. */
const p256 = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");

interface Issue {
  readonly csr: Buffer;
  readonly hosts: readonly string[];
  readonly untilMs?: number;
  /** Of whose key the certificate is, instead of the one that asks. */
  readonly publicKey?: KeyObject;
}

const name = (common: string) => sequence(set(sequence(objectId("2.5.4.3"), text(common))));

const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });

export function issue({ csr, hosts, publicKey, untilMs = Date.now() + 90 * 24 * hourMs }: Issue): string {
  const at = csr.indexOf(p256);
  const spki = publicKey?.export({ type: "spki", format: "der" }) ?? csr.subarray(at, at + p256.length + 65);
  createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  const algorithm = sequence(objectId("1.2.840.10045.4.3.2"));
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.from([0x41])),
    algorithm,
    name("a fake"),
    sequence(time(new Date(untilMs - 90 * 24 * hourMs)), time(new Date(untilMs))),
    name("of a fake"),
    spki,
    tagged(0xa3, sequence(alternativeNames(hosts))),
  );
  const der = sequence(toBeSigned, algorithm, bits(sign("sha256", toBeSigned, authority.privateKey)));
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString("base64")
    .replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}
