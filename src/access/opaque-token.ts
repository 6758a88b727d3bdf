import { createHash, randomInt, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * A secret that a database row stands behind: `<prefix>_<id><secret><checksum>`. Scanners of source code find it by
 * its prefix and checksum; a mistyped one costs no query.
 */
export interface OpaqueToken {
  readonly text: string;
  /** Public: what the row is looked up by. */
  readonly id: string;
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const idCharacters = 16;
const secretCharacters = 32;
const checksumCharacters = 6;
const form = new RegExp(`^[0-9A-Za-z]{${String(idCharacters + secretCharacters + checksumCharacters)}}$`);

export function makeOpaqueToken(prefix: string): OpaqueToken {
  const id = randomBase62(idCharacters);
  return { text: withChecksum(`${prefix}_${id}${randomBase62(secretCharacters)}`), id };
}

/** @param body all that stands before the checksum */
export const withChecksum = (body: string): string => body + checksum(body);

/** `undefined`: not one of this kind, or mistyped. */
export function parseOpaqueToken(prefix: string, text: string): OpaqueToken | undefined {
  const start = `${prefix}_`;
  if (!text.startsWith(start) || !form.test(text.slice(start.length))) return undefined;
  if (withChecksum(text.slice(0, -checksumCharacters)) !== text) return undefined;
  return { text, id: text.slice(start.length, start.length + idCharacters) };
}

/** For storage. The secret has 190 bits of chance, so a plain hash gives nothing away. */
export const hashOfToken = ({ text }: OpaqueToken): string => createHash("sha256").update(text).digest("hex");

export const matchesHash = (token: OpaqueToken, hash: string): boolean => {
  const [given, stored] = [Buffer.from(hashOfToken(token)), Buffer.from(hash)];
  return given.length === stored.length && timingSafeEqual(given, stored);
};

const randomBase62 = (length: number): string =>
  Array.from({ length }, () => base62.charAt(randomInt(base62.length))).join("");

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = "";
  for (let place = 0; place < checksumCharacters; place += 1) {
    digits = base62.charAt(rest % base62.length) + digits;
    rest = Math.floor(rest / base62.length);
  }
  return digits;
}
