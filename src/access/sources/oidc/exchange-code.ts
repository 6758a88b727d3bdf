import { z } from "zod";
import { parseJsonObject } from "../../../oci/json.ts";
import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import { loggable } from "../../../platform/telemetry/loggable.ts";
import type { Issuer } from "../../openid/issuer.ts";
import { type PendingSignIn, SourceUnavailable } from "../source.ts";
import { clientSecretOf, requireEndpoint } from "./ask-provider.ts";

const tokensSchema = z.object({ id_token: z.string(), access_token: z.string().optional() });
const errorSchema = z.object({ error: z.string() });

export type Exchanged =
  | { readonly kind: "tokens"; readonly idToken: string; readonly accessToken: string | undefined }
  | { readonly kind: "refused"; readonly why: string; readonly error: CodeError };

/** Whoever brings a code that is none hears one or the other: it says nothing of the provider. */
const codeErrors = ["invalid_grant", "invalid_request"] as const;
type CodeError = (typeof codeErrors)[number];

interface Exchange {
  readonly code: string;
  readonly pending: Pick<PendingSignIn, "redirectUri" | "verifier">;
}

/** A code for tokens (RFC 6749, 4.1.3). @throws SourceUnavailable, OutboundError */
export async function exchangeCode(
  issuer: Issuer,
  settings: OidcSettings,
  { code, pending }: Exchange,
): Promise<Exchanged> {
  const discovery = await issuer.discover();
  const secret = await clientSecretOf(settings);
  const byBasic = secret !== undefined && takesBasic(discovery.token_endpoint_auth_methods_supported);
  const form = new URLSearchParams({
    grant_type: "authorization_code",
    code,
    redirect_uri: pending.redirectUri,
    code_verifier: pending.verifier,
    ...(!byBasic && { client_id: settings.clientId }),
    ...(!byBasic && secret !== undefined && { client_secret: secret }),
  });
  const reply = await issuer.ask({
    url: requireEndpoint(discovery.token_endpoint, "token_endpoint"),
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
      ...(byBasic && { authorization: basicOf(settings.clientId, secret) }),
    },
    body: form.toString(),
  });
  const told = parseJsonObject(await reply.bytes());
  if (reply.status !== 200) return refusalOf(reply.status, told);
  const { success, data } = tokensSchema.safeParse(told);
  if (!success) throw new SourceUnavailable("its token endpoint answers without an id_token");
  return { kind: "tokens", idToken: data.id_token, accessToken: data.access_token };
}

/** It is what counts where a provider says nothing of it. */
const takesBasic = (methods: readonly string[] = ["client_secret_basic"]): boolean =>
  methods.includes("client_secret_basic") || !methods.includes("client_secret_post");

/** RFC 6749, 2.3.1: both are encoded as a form's values are, before they are put together. */
const encoded = (text: string): string => new URLSearchParams({ "": text }).toString().slice(1);

function basicOf(clientId: string, secret: string): string {
  return `Basic ${Buffer.from(`${encoded(clientId)}:${encoded(secret)}`).toString("base64")}`;
}

const mostErrorCharacters = 64;

/** What is wrong with the code is the sign-in's; all else is the provider's, or ours to set right. */
function refusalOf(status: number, told: unknown): Exchanged {
  const { data } = errorSchema.safeParse(told);
  const error = data === undefined ? undefined : loggable(data.error, mostErrorCharacters);
  const ofCode = codeErrors.find((one) => one === error);
  if (ofCode !== undefined) {
    return { kind: "refused", why: "the provider does not take the code, or not again", error: ofCode };
  }
  if (error === "invalid_client" || status === 401) throw new SourceUnavailable("it refuses clientId with its secret");
  throw new SourceUnavailable(`its token endpoint answers ${status}${error === undefined ? "" : ` ${error}`}`);
}
