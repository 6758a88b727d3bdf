const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** What an app makes of a secret. */
export function fromBase32(text: string): Buffer {
  const bits = text
    .split("")
    .map((sign) => alphabet.indexOf(sign).toString(2).padStart(5, "0"))
    .join("");
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
