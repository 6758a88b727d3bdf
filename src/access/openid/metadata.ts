import { createLocalJWKSet, errors } from "jose";
import { z } from "zod";
import { parseJsonObject } from "../../oci/json.ts";
import { isIssuerUrl } from "../../platform/config/issuer-schema.ts";
import type { GuardedFetch } from "../../platform/net/guarded-fetch.ts";
import { OutboundError } from "../../platform/net/outbound.ts";
import { IssuerUnavailable } from "./issuer-unavailable.ts";

/** What of an issuer's discovery document is looked at (OpenID Connect Discovery 1.0, 3). */
export type Discovery = z.infer<typeof discoveryDocument>;

/** Tells the key that a token says it is signed with; throws errors of jose where there is none. */
export type KeySet = ReturnType<typeof createLocalJWKSet>;

export interface Metadata {
  readonly discovery: Discovery;
  readonly keys: KeySet;
}

const endpoint = z.string().max(2048).exactOptional();
const words = z.array(z.string().max(255)).max(256).exactOptional();

const discoveryDocument = z.object({
  issuer: z.string(),
  jwks_uri: z.string().max(2048),
  authorization_endpoint: endpoint,
  token_endpoint: endpoint,
  userinfo_endpoint: endpoint,
  end_session_endpoint: endpoint,
  token_endpoint_auth_methods_supported: words,
  code_challenge_methods_supported: words,
  scopes_supported: words,
  authorization_response_iss_parameter_supported: z.boolean().exactOptional(),
});

const member = z.string().max(8192).exactOptional();
/** The public members alone, of keys of the kinds that we take. */
const keySet = z.object({
  keys: z
    .array(
      z.object({
        kty: z.string(),
        kid: member,
        alg: member,
        use: member,
        key_ops: z.array(z.string()).max(16).exactOptional(),
        crv: member,
        x: member,
        y: member,
        n: member,
        e: member,
      }),
    )
    .max(100),
});

/** Asks an issuer for what it says of itself, and for its keys. @throws IssuerUnavailable */
export async function loadMetadata(issuer: string, ask: GuardedFetch): Promise<Metadata> {
  const told = discoveryDocument.safeParse(
    await askJson(ask, `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`),
  );
  if (!told.success) throw new IssuerUnavailable(`${issuer}: its discovery document has not what it must have`);
  const discovery = told.data;
  // Somebody else's document would bring somebody else's keys.
  if (discovery.issuer !== issuer) throw new IssuerUnavailable(`${issuer}: its discovery document is another issuer's`);
  for (const url of endpointsOf(discovery)) {
    if (!isEndpoint(url, issuer)) throw new IssuerUnavailable(`${issuer}: it names an endpoint without TLS`);
  }
  const keys = keySet.safeParse(await askJson(ask, discovery.jwks_uri));
  if (!keys.success) throw new IssuerUnavailable(`${issuer}: what it has at jwks_uri is no set of keys`);
  try {
    return { discovery, keys: createLocalJWKSet(keys.data) };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new IssuerUnavailable(`${issuer}: what it has at jwks_uri is no set of keys`);
  }
}

const endpointsOf = (discovery: Discovery): readonly string[] => [
  discovery.jwks_uri,
  ...[
    discovery.authorization_endpoint,
    discovery.token_endpoint,
    discovery.userinfo_endpoint,
    discovery.end_session_endpoint,
  ].filter((url) => url !== undefined),
];

/** Without TLS where the issuer itself has none, which is on this machine then. An endpoint may have a query. */
const isEndpoint = (text: string, issuer: string): boolean =>
  isIssuerUrl(text.replace(/\?.*$/, "")) && (text.startsWith("https:") || issuer.startsWith("http:"));

async function askJson(ask: GuardedFetch, url: string): Promise<unknown> {
  try {
    const reply = await ask({ url, headers: { accept: "application/json" } });
    if (reply.status !== 200) {
      reply.cancel();
      throw new IssuerUnavailable(`${new URL(url).origin} answers ${String(reply.status)}`);
    }
    return parseJsonObject(await reply.bytes());
  } catch (error) {
    if (error instanceof OutboundError) throw new IssuerUnavailable(error.message);
    throw error;
  }
}
