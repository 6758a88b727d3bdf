import { randomUUID } from "node:crypto";
import { z } from "zod";
import { parseJsonObject } from "../../../oci/json.ts";
import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import type { Issuer } from "../../openid/issuer.ts";
import { type SourceStep, SourceUnavailable } from "../source.ts";
import { askProvider, requireEndpoint } from "./ask-provider.ts";
import { exchangeCode } from "./exchange-code.ts";

const keysSchema = z.object({ keys: z.array(z.object({ kty: z.string() })).min(1) });

/** What can be known of a provider without a browser, step by step, for whoever sets it up. */
export async function* tryProvider(
  settings: OidcSettings,
  issuer: Issuer,
  name: string | undefined,
): AsyncGenerator<SourceStep> {
  const steps: Readonly<Record<string, () => Promise<string>>> = {
    discover: async () => requireEndpoint((await issuer.discover()).authorization_endpoint, "authorization_endpoint"),
    keys: () => countKeys(issuer),
    client: () => tryClient(issuer, settings),
  };
  for (const [step, work] of Object.entries(steps)) {
    try {
      yield { step, ok: true, detail: await askProvider(work) };
    } catch (error) {
      if (!(error instanceof SourceUnavailable)) throw error;
      yield { step, ok: false, detail: error.message };
      return;
    }
  }
  if (name !== undefined)
    yield { step: "find", ok: false, detail: "people sign in there with a browser: nobody can be looked up by name" };
}

async function countKeys(issuer: Issuer): Promise<string> {
  const { jwks_uri: url } = await issuer.discover();
  const { success, data } = keysSchema.safeParse(parseJsonObject(await (await issuer.ask({ url })).bytes()));
  if (!success) throw new SourceUnavailable(`there are no keys at ${url}`);
  return `${data.keys.length} at ${url}`;
}

/** A code that nobody has got is refused as such, where the client is known and its secret is right. */
async function tryClient(issuer: Issuer, settings: OidcSettings): Promise<string> {
  const pending = { verifier: `${randomUUID()}${randomUUID()}`, redirectUri: "https://localhost/" };
  const exchanged = await exchangeCode(issuer, settings, { code: randomUUID(), pending });
  if (exchanged.kind === "tokens") throw new SourceUnavailable("it gives tokens to whoever asks");
  if (exchanged.error !== "invalid_grant") throw new SourceUnavailable(`its token endpoint answers ${exchanged.error}`);
  return `${settings.clientId} is known there`;
}
