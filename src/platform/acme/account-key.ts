import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { base64url, calculateJwkThumbprint, FlattenedSign, type FlattenedJWS, type JWK } from "jose";
import { z } from "zod";

/** The key by which an authority knows its account. */
export interface AccountKey {
  /** Private: what is kept. */
  readonly jwk: JWK;
  readonly thumbprint: string;
  /** @param account its URL; without it, the public key is sent along (RFC 8555, 6.2). */
  sign(
    payload: string,
    header: { readonly url: string; readonly nonce: string; readonly account?: string },
  ): Promise<FlattenedJWS>;
  /** Shows that the holder of an account elsewhere means this key (RFC 8555, 7.3.4). */
  bindTo(external: ExternalAccount, url: string): Promise<FlattenedJWS>;
}

/** An account that the authority's operator has given out. */
export interface ExternalAccount {
  readonly keyId: string;
  /** In base64url. */
  readonly hmacKey: string;
}

const publicPart = z.object({ kty: z.literal("EC"), crv: z.literal("P-256"), x: z.string(), y: z.string() });

export const newAccountKey = (): Promise<AccountKey> =>
  toAccountKey(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);

/** @throws Error for what is no private key */
export const readAccountKey = (jwk: JWK): Promise<AccountKey> =>
  toAccountKey(createPrivateKey({ key: jwk, format: "jwk" }));

async function toAccountKey(key: KeyObject): Promise<AccountKey> {
  const jwk = key.export({ format: "jwk" });
  const shown = publicPart.parse(jwk);
  return {
    jwk,
    thumbprint: await calculateJwkThumbprint(shown),
    sign: (payload, { url, nonce, account }) =>
      new FlattenedSign(Buffer.from(payload))
        .setProtectedHeader({
          alg: "ES256",
          url,
          nonce,
          ...(account === undefined ? { jwk: shown } : { kid: account }),
        })
        .sign(key),
    bindTo: ({ keyId, hmacKey }, url) =>
      new FlattenedSign(Buffer.from(JSON.stringify(shown)))
        .setProtectedHeader({ alg: "HS256", kid: keyId, url })
        .sign(base64url.decode(hmacKey)),
  };
}

/** What answers a challenge: its token, bound to the account (RFC 8555, 8.1). */
export const keyAuthorization = (token: string, { thumbprint }: AccountKey): string => `${token}.${thumbprint}`;

export const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
