export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

const deepest = 64;
/** More than the descriptors have that fit into the largest manifest: each member costs far more than its bytes. */
const mostMembers = 125_000;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `undefined` unless the bytes are one JSON object in well-formed UTF-8, nested at most 64 deep, with 125 000 members. */
export function parseJsonObject(bytes: Uint8Array): JsonObject | undefined {
  if (isTooMuch(bytes)) return undefined;
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (!isObject(value)) return undefined;
    return mayHoldLoneSurrogates.test(text) && !isWellFormed(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Well-formed UTF-8 has none, but an escape may write one: no database stores it as it was. */
const mayHoldLoneSurrogates = /\\u[dD][89a-fA-F]/;

function isWellFormed(value: JsonValue | undefined): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormed);
  return Object.entries(value).every(([key, entry]) => key.isWellFormed() && isWellFormed(entry));
}

const [quote, backslash, comma, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\,[]{}');

/** Counts brackets and commas outside strings, before a parser that recurses sees the bytes. */
function isTooMuch(bytes: Uint8Array): boolean {
  let depth = 0;
  let members = 0;
  let inString = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (inString) {
      if (byte === backslash) index++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (byte === openBracket || byte === openBrace) {
      if (++depth > deepest) return true;
    } else if (byte === comma) {
      if (++members > mostMembers) return true;
    } else if (byte === closeBracket || byte === closeBrace) depth--;
  }
  return false;
}
