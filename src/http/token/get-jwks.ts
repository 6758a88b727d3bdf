import type { SigningKeys } from "../../access/signing-keys.ts";
import type { Handle } from "../../platform/runtime/http.ts";

/** Shorter than the time between a key's publication and its first use. */
const maxAgeSeconds = 300;

/** GET /token/jwks.json: the keys that tokens are signed with (RFC 7517), for those who verify them elsewhere. */
export const getJwks =
  ({ signingKeys }: { readonly signingKeys: Pick<SigningKeys, "published"> }): Handle =>
  async () => {
    const { keys } = await signingKeys.published();
    return {
      kind: "json",
      status: 200,
      headers: { "cache-control": `public, max-age=${String(maxAgeSeconds)}` },
      body: { keys: keys.map((key) => ({ ...key })) },
    };
  };
