import { createSecretKey, hkdfSync, type KeyObject, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../platform/config/load-config.ts";
import { createPrivateFile } from "./private-file.ts";

export type ParsedSecret =
  | { readonly kind: "secret"; readonly secret: KeyObject }
  | { readonly kind: "refused"; readonly reason: string };

const shortestSecretBytes = 32;
/** 32 random bytes have more in any spelling; a repeated word has fewer. */
const fewestDistinctCharacters = 10;

/** What all keys at rest and all keyed hashes are derived from. Anything that can be guessed is refused. */
export function parseSecret(text: string): ParsedSecret {
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "refused", reason: "secret: it is blank" };
  if (Buffer.byteLength(trimmed) < shortestSecretBytes) {
    return { kind: "refused", reason: "secret: it is shorter than 32 bytes; make one with: openssl rand -base64 32" };
  }
  if (new Set(trimmed).size < fewestDistinctCharacters) {
    return { kind: "refused", reason: "secret: it repeats itself; make one with: openssl rand -base64 32" };
  }
  return { kind: "secret", secret: createSecretKey(trimmed, "utf8") };
}

export interface SecretSource {
  /** Setting `secret`; `undefined` when it is not set at all, which is not the same as blank. */
  readonly configured: string | undefined;
  readonly dataFolder: string;
}

/**
 * The configured secret, else the one in the data folder, which the first start makes.
 * @throws ConfigError
 */
export async function loadInstanceSecret({ configured, dataFolder }: SecretSource): Promise<KeyObject> {
  const path = join(dataFolder, "secret");
  const text = configured ?? (await readOrCreate(path));
  const parsed = parseSecret(text);
  if (parsed.kind === "secret") return parsed.secret;
  throw new ConfigError([configured === undefined ? `${parsed.reason} (${path})` : parsed.reason]);
}

async function readOrCreate(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  // Another start may create it meanwhile; whoever was first, that one counts.
  await createPrivateFile(path, `${randomBytes(32).toString("base64url")}\n`);
  return readFile(path, "utf8");
}

/** A key of 32 bytes for one purpose; no two purposes share one. */
export const deriveKey = (secret: KeyObject, purpose: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", `berth ${purpose}`, 32)));
