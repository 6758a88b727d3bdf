import type { KeyObject } from "node:crypto";
import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { z } from "zod";
import { ConfigError } from "../platform/config/load-config.ts";
import type { Database, Writer } from "../platform/database/database.ts";
import { seal, unseal } from "./sealed-text.ts";
import type { SigningKeyRow } from "./tables.ts";

export const signingAlgorithm = "ES256";

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
}

/** The keys of the token service. They live in the database, so every replica signs and trusts the same. */
export interface SigningKeys {
  current(): Promise<SigningKey>;
  /** `undefined`: not one of ours, or no longer. */
  publicKey(kid: string): Promise<CryptoKey | undefined>;
  /** RFC 7517, with the next key before it is used and the last one until its tokens have run out. */
  published(): Promise<{ readonly keys: readonly JWK[] }>;
  /** Makes the next key, to be used once everyone has had time to learn it; one that waits already is left. */
  rotate(): Promise<{ readonly kid: string; readonly activeFrom: number }>;
}

export interface SigningKeysDeps {
  readonly database: Database;
  /** Seals the private keys. */
  readonly key: KeyObject;
  readonly now: () => number;
  /** Longest that a token may be accepted after it was signed. */
  readonly tokenLifetimeMs: number;
}

/** Verifiers keep a key set for 10 minutes (jose's default); a key is published for longer than that before its use. */
const publishedBeforeUseMs = 15 * 60_000;
const reloadAfterMs = 60_000;
/** A key we do not know may be one another replica has just made; strangers' key names do not cost more than this. */
const reloadForUnknownAfterMs = 1000;

interface TrustedKey extends SigningKeyRow {
  readonly jwk: z.infer<typeof publicJwk>;
  readonly publicKey: CryptoKey;
}

const publicJwk = z.strictObject({ kty: z.literal("EC"), crv: z.literal("P-256"), x: z.string(), y: z.string() });
const privateJwk = publicJwk.extend({ d: z.string() });

/** @throws ConfigError when the keys in the database were sealed with another secret */
export async function openSigningKeys(deps: SigningKeysDeps): Promise<SigningKeys> {
  const { database, now } = deps;
  let ring: { readonly keys: readonly TrustedKey[]; readonly loadedAt: number } | undefined;
  let loading: Promise<readonly TrustedKey[]> | undefined;
  const privateKeys = new Map<string, CryptoKey>();

  const load = async (): Promise<readonly TrustedKey[]> => {
    const loadedAt = now();
    const rows = await database.read.selectFrom("signing_keys").selectAll().orderBy("generation", "desc").execute();
    const keys = await Promise.all(rows.map(trustedKey));
    ring = { keys, loadedAt };
    return keys;
  };
  const reload = (): Promise<readonly TrustedKey[]> => {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  };
  const trusted = async (staleAfterMs = reloadAfterMs): Promise<readonly TrustedKey[]> => {
    const keys = ring !== undefined && now() - ring.loadedAt < staleAfterMs ? ring.keys : await reload();
    return keys.filter(({ expires_at: expiresAt }) => expiresAt === null || expiresAt > now());
  };
  const current = async (): Promise<SigningKey> => {
    const row = (await trusted()).find(({ active_from: activeFrom }) => activeFrom <= now());
    if (row === undefined) throw new Error("there is no key to sign tokens with");
    const privateKey = privateKeys.get(row.kid) ?? (await openPrivateKey(deps.key, row));
    privateKeys.set(row.kid, privateKey);
    return { kid: row.kid, privateKey };
  };

  await addGeneration(deps, { after: undefined });
  await reload();
  await current();
  return {
    current,
    async publicKey(kid) {
      const find = (keys: readonly TrustedKey[]): CryptoKey | undefined =>
        keys.find((key) => key.kid === kid)?.publicKey;
      return find(await trusted()) ?? find(await trusted(reloadForUnknownAfterMs));
    },
    async published() {
      const keys = await trusted();
      return { keys: keys.map(({ jwk, kid }) => ({ ...jwk, kid, alg: signingAlgorithm, use: "sig" })) };
    },
    async rotate() {
      const [newest] = await load();
      if (newest !== undefined && newest.active_from <= now()) {
        await addGeneration(deps, { after: newest.generation });
        await load();
      }
      const [next] = ring?.keys ?? [];
      if (next === undefined) throw new Error("there is no key to sign tokens with");
      return { kid: next.kid, activeFrom: next.active_from };
    },
  };
}

/** Of several servers that add the same generation, one does. The first one is used at once: nobody knows another. */
async function addGeneration(deps: SigningKeysDeps, { after }: { readonly after: number | undefined }): Promise<void> {
  if (after === undefined) {
    const any = await deps.database.read.selectFrom("signing_keys").select("kid").limit(1).executeTakeFirst();
    if (any !== undefined) return;
  }
  const pair = await generateKeyPair(signingAlgorithm, { extractable: true });
  const jwk = publicJwk.parse(await exportJWK(pair.publicKey));
  const kid = await calculateJwkThumbprint(jwk);
  const activeFrom = after === undefined ? deps.now() : deps.now() + publishedBeforeUseMs;
  const row: SigningKeyRow = {
    kid,
    generation: (after ?? 0) + 1,
    public_jwk: JSON.stringify(jwk),
    sealed_private_jwk: seal(deps.key, kid, JSON.stringify(privateJwk.parse(await exportJWK(pair.privateKey)))),
    active_from: activeFrom,
    expires_at: null,
  };
  await deps.database.write((tx) => insertGeneration(tx, row, { now: deps.now(), lifetimeMs: deps.tokenLifetimeMs }));
}

async function insertGeneration(
  tx: Writer,
  row: SigningKeyRow,
  { now, lifetimeMs }: { readonly now: number; readonly lifetimeMs: number },
): Promise<void> {
  const inserted = await tx
    .insertInto("signing_keys")
    .values(row)
    .onConflict((conflict) => conflict.column("generation").doNothing())
    .executeTakeFirst();
  if (inserted.numInsertedOrUpdatedRows !== 1n) return;
  await tx.deleteFrom("signing_keys").where("expires_at", "<=", now).execute();
  await tx
    .updateTable("signing_keys")
    .set({ expires_at: row.active_from + reloadAfterMs + lifetimeMs })
    .where("generation", "<", row.generation)
    .where("expires_at", "is", null)
    .execute();
}

async function trustedKey(row: SigningKeyRow): Promise<TrustedKey> {
  const jwk = publicJwk.parse(JSON.parse(row.public_jwk));
  return { ...row, jwk, publicKey: await importKey(jwk) };
}

async function openPrivateKey(key: KeyObject, row: SigningKeyRow): Promise<CryptoKey> {
  const text = unseal(key, row.kid, row.sealed_private_jwk);
  if (text === undefined) {
    throw new ConfigError(["secret: it is not the one that the keys in this database were encrypted with"]);
  }
  return importKey(privateJwk.parse(JSON.parse(text)));
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, signingAlgorithm);
  if (key instanceof Uint8Array) throw new Error("an elliptic curve key came in as bytes");
  return key;
}
