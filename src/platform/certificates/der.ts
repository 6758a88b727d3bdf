/** The few forms of ASN.1 in DER that a certificate is made of. */
export function tagged(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([0x80 + bytes.length]), bytes]);
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => tagged(0x30, ...items);
export const set = (...items: readonly Uint8Array[]): Uint8Array => tagged(0x31, ...items);
export const isTrue: Uint8Array = tagged(0x01, Buffer.from([0xff]));
export const octets = (content: Uint8Array): Uint8Array => tagged(0x04, content);
export const text = (content: string): Uint8Array => tagged(0x0c, Buffer.from(content, "utf8"));
/** A whole number of bytes that are not negative. */
export const bits = (content: Uint8Array, unused = 0): Uint8Array => tagged(0x03, Buffer.from([unused]), content);
/** Of at least one byte, the first below 0x80: above, it would be negative. */
export const integer = (bytes: Uint8Array): Uint8Array => tagged(0x02, bytes);

export function objectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): readonly number[] {
  const digits = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) + 128);
  return digits;
}

/** UTCTime up to 2049, as RFC 5280 (4.1.2.5) wants it, and GeneralizedTime from then on. */
export function time(date: Date): Uint8Array {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(digits.slice(2), "ascii"))
    : tagged(0x18, Buffer.from(digits, "ascii"));
}
