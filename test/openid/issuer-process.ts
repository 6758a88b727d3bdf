import { constants, createHmac, generateKeyPairSync, type KeyObject, sign as signWith } from "node:crypto";

/** What an issuer can be told to do wrong. */
export interface Mischief {
  readonly discovery?:
    | "other-issuer"
    | "redirect"
    | "not-json"
    | "without-keys"
    | "keys-without-tls"
    | "error"
    | "slow";
  readonly keys?: "redirect" | "huge" | "error" | "not-keys" | "secret";
}

/** How a token is signed where it is not as it should be. */
export interface Signing {
  readonly key?: "newest" | "first" | "unpublished";
  readonly algorithm?: "none" | "HS256";
  readonly header?: Readonly<Record<string, unknown>>;
}

export type Algorithm = "RS256" | "PS512" | "ES256" | "ES384" | "EdDSA" | "weak";

export interface SignRequest {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signing?: Signing;
}

export interface KeyRequest {
  readonly algorithm: Algorithm;
  /** The keys from before are published on. */
  readonly keepsOthers?: boolean;
}

/** What the program is started with, as JSON. */
export interface IssuerStart {
  readonly tls?: { readonly certPem: string; readonly keyPem: string };
  /** Behind the host, of the issuer's name; empty for none. */
  readonly path: string;
}

interface Key {
  readonly kid: string;
  readonly algorithm: Algorithm;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

let made = 0;

function makeKey(algorithm: Algorithm): Key {
  made += 1;
  return { kid: `key-${String(made)}`, algorithm, ...pairFor(algorithm) };
}

function pairFor(algorithm: Algorithm) {
  switch (algorithm) {
    case "RS256":
    case "PS512":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "weak":
      return generateKeyPairSync("rsa", { modulusLength: 1024 });
    case "ES256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "ES384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" });
    case "EdDSA":
      return generateKeyPairSync("ed25519");
    default:
      return algorithm satisfies never;
  }
}

const named = (algorithm: Algorithm): string => (algorithm === "weak" ? "RS256" : algorithm);
const hashOf: Readonly<Record<Algorithm, string | null>> = {
  RS256: "sha256",
  weak: "sha256",
  PS512: "sha512",
  ES256: "sha256",
  ES384: "sha384",
  EdDSA: null,
};

function signatureOf(input: string, { algorithm, privateKey: key }: Key): Buffer {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const options = { key, dsaEncoding: "ieee-p1363" as const, ...(algorithm === "PS512" && pss) };
  return signWith(hashOf[algorithm], Buffer.from(input), options);
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const pemOf = ({ publicKey }: Key): string => publicKey.export({ type: "spki", format: "pem" });

const unpublished = makeKey("RS256");
const first = makeKey("RS256");
let keys: readonly Key[] = [first];
let mischief: Mischief = {};
const asked: string[] = [];

function sign({ claims, signing: { key, algorithm, header } = {} }: SignRequest): string {
  const used = key === "unpublished" ? unpublished : key === "first" ? first : (keys.at(-1) ?? first);
  const input = `${encode({ alg: algorithm ?? named(used.algorithm), typ: "JWT", kid: used.kid, ...header })}.${encode(claims)}`;
  if (algorithm === "none") return `${input}.`;
  if (algorithm === "HS256") return `${input}.${createHmac("sha256", pemOf(used)).update(input).digest("base64url")}`;
  return `${input}.${signatureOf(input, used).toString("base64url")}`;
}

const published = ({ kid, algorithm, publicKey }: Key) => ({
  ...publicKey.export({ format: "jwk" }),
  kid,
  alg: named(algorithm),
  use: "sig",
});

async function discovery(url: string): Promise<Response> {
  const document = { issuer: url, jwks_uri: `${url}/keys` };
  switch (mischief.discovery) {
    case undefined:
      return Response.json(document);
    case "other-issuer":
      return Response.json({ ...document, issuer: "https://another.example" });
    case "redirect":
      return Response.redirect(`${url}/stolen`);
    case "not-json":
      return new Response("<html>");
    case "without-keys":
      return Response.json({ issuer: url });
    case "keys-without-tls":
      return Response.json({ ...document, jwks_uri: "http://keys.example/keys" });
    case "error":
      return new Response("no", { status: 500 });
    case "slow":
      return new Promise(() => undefined);
    default:
      return mischief.discovery satisfies never;
  }
}

function keySet(url: string): Response {
  switch (mischief.keys) {
    case undefined:
      return Response.json({ keys: keys.map(published) });
    case "redirect":
      return Response.redirect(`${url}/stolen`);
    case "huge":
      return Response.json({ keys: keys.map(published), filler: "x".repeat(300 * 1024) });
    case "error":
      return new Response("no", { status: 503 });
    case "not-keys":
      return Response.json({ keys: "none" });
    case "secret":
      return Response.json({
        keys: keys.map((key) => ({ kty: "oct", kid: key.kid, k: Buffer.from(pemOf(key)).toString("base64url") })),
      });
    default:
      return mischief.keys satisfies never;
  }
}

async function answer(request: Request, url: string): Promise<Response> {
  const { pathname } = new URL(request.url);
  switch (pathname.startsWith(path) ? pathname.slice(path.length) : pathname) {
    case "/.well-known/openid-configuration":
      asked.push("discovery");
      return discovery(url);
    case "/keys":
      asked.push("keys");
      return keySet(url);
    case "/stolen":
      asked.push("stolen");
      return Response.json({ issuer: url, jwks_uri: `${url}/keys`, keys: [published(unpublished)] });
    case "/test/sign":
      return new Response(sign((await request.json()) as SignRequest));
    case "/test/key": {
      const { algorithm, keepsOthers } = (await request.json()) as KeyRequest;
      keys = [...(keepsOthers === true ? keys : []), makeKey(algorithm)];
      return new Response();
    }
    case "/test/mischief":
      mischief = (await request.json()) as Mischief;
      return new Response();
    case "/test/asked":
      return Response.json(asked);
    default:
      return new Response("", { status: 404 });
  }
}

const { tls, path } = JSON.parse(process.argv[2] ?? "{}") as IssuerStart;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  ...(tls && { tls: { cert: tls.certPem, key: tls.keyPem } }),
  fetch: (request): Promise<Response> => answer(request, issuer()),
});
const issuer = (): string => `${server.url.origin}${path}`;
process.stdout.write(`${issuer()}\n`);
// It ends with whoever has started it.
for await (const _ of process.stdin);
process.kill(process.pid, "SIGTERM");
