import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import { takeTurns } from "../../../platform/turns/take-turns.ts";
import type { Discovery } from "../../openid/metadata.ts";
import type { BrowserSource } from "../source.ts";
import { askProvider, openProvider } from "./ask-provider.ts";
import { authorizationRequest, codeOf } from "./authorization.ts";
import { claimsOfTokens } from "./claims-of-tokens.ts";
import { exchangeCode } from "./exchange-code.ts";
import { groupNameIn, identityOfClaims } from "./identity-of-claims.ts";
import { tryProvider } from "./try-provider.ts";

/** Sign-ins that ask one provider at once. */
const turns = { concurrent: 32, waiting: 256 };

/** A provider of OpenID Connect: people sign in there with a browser, and come back with a code. */
export function oidcSource(settings: OidcSettings): BrowserSource {
  const issuer = openProvider(settings);
  const inTurn = takeTurns(turns, "too many sign-ins at once");
  return {
    kind: "browser",
    name: settings.name,
    label: settings.label ?? settings.name,
    onboards: settings.onboard,
    staleMs: settings.staleSeconds * 1000,
    groupName: groupNameIn,
    begin: (redirectUri) =>
      inTurn(() => askProvider(async () => authorizationRequest(settings, await issuer.discover(), redirectUri))),
    finish: (pending, brought) =>
      inTurn(() =>
        askProvider(async () => {
          const found = codeOf(pending, brought, await issuer.discover());
          if (found.kind === "refused") return found;
          const tokens = await exchangeCode(issuer, settings, { code: found.code, pending });
          if (tokens.kind === "refused") return { kind: "refused", why: tokens.why };
          const told = await claimsOfTokens(issuer, settings, { ...tokens, pending });
          return told.kind === "refused" ? told : identityOfClaims(settings, settings.issuer, told.claims);
        }),
      ),
    endUrl: async (returnUri) =>
      settings.signOut
        ? askProvider(async () => endUrl(settings.clientId, await issuer.discover(), returnUri))
        : undefined,
    test: (name) => tryProvider(settings, issuer, name),
  };
}

/** OpenID Connect's RP-Initiated Logout. */
function endUrl(
  clientId: string,
  { end_session_endpoint: endpoint }: Discovery,
  returnUri: string,
): string | undefined {
  if (endpoint === undefined) return undefined;
  const url = new URL(endpoint);
  url.searchParams.set("client_id", clientId);
  url.searchParams.set("post_logout_redirect_uri", returnUri);
  return url.href;
}
