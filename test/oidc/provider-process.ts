import { createPrivateKey, type KeyObject } from "node:crypto";
import { createServer as createPlainServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { decodeJwt, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { Provider } from "oidc-provider";
import type { Misbehaviour, People, ProviderPlan } from "./provider.ts";

/** An OpenID provider, which lies where it is told to: with its own keys, behind its own back. */
const plan = JSON.parse(process.argv[2] ?? "{}") as ProviderPlan;
let people: People = plan.people;
let misbehaviour: Misbehaviour | undefined;

const kid = "first";
const key = createPrivateKey({ key: plan.key, format: "jwk" });
const { privateKey: otherKey } = await generateKeyPair("RS256");

const provider = new Provider(plan.issuer, {
  clients: [
    {
      client_id: plan.clientId,
      client_secret: plan.clientSecret,
      redirect_uris: plan.redirectUris,
      post_logout_redirect_uris: plan.signedOutUris ?? [],
      token_endpoint_auth_method: plan.authMethod ?? "client_secret_basic",
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
    {
      client_id: plan.jobId,
      client_secret: plan.clientSecret,
      redirect_uris: [],
      grant_types: ["client_credentials"],
      response_types: [],
    },
  ],
  // Clients that nobody signs in to get tokens for whoever they name.
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context: unknown, resource: string) => ({
        scope: "push",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  jwks: { keys: [{ ...plan.key, kid, alg: "RS256", use: "sig" }] },
  cookies: { keys: ["cookies of a test"] },
  // What scopes bring is in the ID token, or else at the userinfo endpoint alone, as the specification has it.
  conformIdTokenClaims: plan.claimsAtUserinfo === true,
  claims: {
    openid: ["sub"],
    profile: ["preferred_username", "name"],
    email: ["email"],
    groups: ["groups", "roles", "_claim_names"],
  },
  pkce: { required: () => true },
  findAccount: (_context: unknown, sub: string) => ({
    accountId: sub,
    claims: () => ({ sub, ...people[sub] }),
  }),
});

const lies: Readonly<Record<Misbehaviour, (claims: JWTPayload) => Promise<string>>> = {
  "wrong-nonce": (claims) => signed({ ...claims, nonce: "of another sign-in" }),
  "no-nonce": (claims) => signed({ ...claims, nonce: undefined }),
  "wrong-audience": (claims) => signed({ ...claims, aud: "another-client" }),
  "more-audiences": (claims) => signed({ ...claims, aud: [plan.clientId, "another-client"] }),
  "wrong-party": (claims) => signed({ ...claims, azp: "another-client" }),
  "wrong-issuer": (claims) => signed({ ...claims, iss: "https://issuer.example" }),
  expired: (claims) => signed({ ...claims, iat: seconds() - 7200, exp: seconds() - 3600 }),
  "another-key": (claims) => signed(claims, otherKey),
  unsigned: async (claims) => new UnsecuredJWT(claims).encode(),
  "shared-secret": (claims) =>
    new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid }).sign(Buffer.from(plan.clientSecret)),
  "token-endpoint-fails": async () => "",
  "userinfo-of-another": async (claims) => signed(claims),
  "codes-malformed": async (claims) => signed(claims),
};

const seconds = (): number => Math.floor(Date.now() / 1000);
const signed = (claims: JWTPayload, by: KeyObject | CryptoKey = key): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid }).sign(by);

provider.use(async (context, next) => {
  if (context.path === "/test" && context.method === "POST") {
    const chunks: Uint8Array[] = [];
    for await (const chunk of context.req) chunks.push(chunk);
    const told = JSON.parse(Buffer.concat(chunks).toString()) as { people?: People; misbehaviour?: Misbehaviour };
    people = told.people ?? people;
    misbehaviour = told.misbehaviour;
    context.body = "done";
    return;
  }
  await next();
  if (misbehaviour === undefined) return;
  const { body } = context;
  if (context.path === "/token" && typeof body === "object" && body !== null && "id_token" in body) {
    if (misbehaviour === "token-endpoint-fails") context.status = 500;
    const { id_token: given } = body as { id_token: string };
    context.body = { ...body, id_token: await lies[misbehaviour](decodeJwt(given)) };
  }
  // As some do for what cannot be a code of theirs.
  if (context.path === "/token" && misbehaviour === "codes-malformed" && context.status === 400)
    context.body = { error: "invalid_request" };
  if (context.path === "/me" && misbehaviour === "userinfo-of-another")
    context.body = { ...(body as object), sub: "somebody-else" };
});

const { port } = new URL(plan.issuer);
const answer = provider.callback();
const server = plan.tls === undefined ? createPlainServer(answer) : createTlsServer(plan.tls, answer);
server.listen(Number(port), "127.0.0.1", () => process.stdout.write("listening\n"));

// It ends with its owner, even one that was killed.
process.stdin.resume();
process.stdin.on("end", () => process.kill(process.pid, "SIGKILL"));
