import { readFile } from "node:fs/promises";
import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import { OutboundError } from "../../../platform/net/outbound.ts";
import { type Issuer, openIssuer } from "../../openid/issuer.ts";
import { IssuerUnavailable } from "../../openid/issuer-unavailable.ts";
import { SourceUnavailable } from "../source.ts";

/** The issuer that a source's settings name. Whether it answers, the source tells. */
export const openProvider = ({ issuer, caFile, hosts }: OidcSettings): Issuer =>
  openIssuer(
    { issuer, allow: [new URL(issuer).hostname, ...hosts], ...(caFile !== undefined && { caFile }) },
    { now: Date.now, onState: () => undefined },
  );

/** What of a provider's silence is the source's. @throws SourceUnavailable */
export async function askProvider<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isAway = error instanceof OutboundError || error instanceof IssuerUnavailable;
    throw isAway ? new SourceUnavailable(error.message) : error;
  }
}

/** `undefined`: a client without a secret. @throws SourceUnavailable */
export async function clientSecretOf({ clientSecret, clientSecretFile }: OidcSettings): Promise<string | undefined> {
  if (clientSecretFile === undefined) return clientSecret;
  const text = await readFile(clientSecretFile, "utf8").catch(() => {
    throw new SourceUnavailable(`clientSecretFile: ${clientSecretFile} cannot be read`);
  });
  return text.replace(/\r?\n$/, "");
}

/** An endpoint that the provider's discovery document has to name. @throws SourceUnavailable */
export function requireEndpoint(endpoint: string | undefined, name: string): string {
  if (endpoint === undefined) throw new SourceUnavailable(`its discovery document names no ${name}`);
  return endpoint;
}
