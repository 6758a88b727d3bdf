import { createHmac, timingSafeEqual } from "node:crypto";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const digits = 6;
const stepMs = 30_000;
/** How many steps a device's clock may be off, to either side. */
const mostStepsOff = 1;

/** RFC 4648, without its padding: as apps take a secret. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet.charAt((value >>> bits) & 31);
    }
    value &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + alphabet.charAt((value << (5 - bits)) & 31);
}

/** RFC 4226, with SHA-1, which is all that most apps can do. */
export function codeOf(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const hash = createHmac("sha1", secret).update(counter).digest();
  const offset = hash.readUInt8(hash.length - 1) & 0xf;
  const number = hash.readUInt32BE(offset) & 0x7fff_ffff;
  return String(number % 10 ** digits).padStart(digits, "0");
}

interface Given {
  readonly code: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Of the last code that was used: this and those before it are good no more. */
  readonly lastStep: number;
}

/** The step that a code is of (RFC 6238); `undefined`: of none that is good now. */
export function stepOf(secret: Uint8Array, { code, now, lastStep }: Given): number | undefined {
  const given = Buffer.from(code);
  if (given.length !== digits) return undefined;
  const current = Math.floor(now / stepMs);
  let found: number | undefined;
  for (let step = current - mostStepsOff; step <= current + mostStepsOff; step++) {
    if (timingSafeEqual(Buffer.from(codeOf(secret, step)), given) && step > lastStep) found ??= step;
  }
  return found;
}

/** What apps read as a QR code. */
export function otpauthUri(
  secret: string,
  { issuer, name }: { readonly issuer: string; readonly name: string },
): string {
  const parameters = new URLSearchParams({ secret, issuer, algorithm: "SHA1", digits: String(digits), period: "30" });
  return `otpauth://totp/${encodeURIComponent(issuer)}:${encodeURIComponent(name)}?${parameters.toString()}`;
}
