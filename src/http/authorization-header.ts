/** What an `Authorization` header says (RFC 7617, RFC 6750). */
export type AuthorizationHeader =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly name: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "malformed"; readonly scheme: "bearer" | "other" };

const header = /^([A-Za-z]+)(?: +(.*))?$/;
const bearerToken = /^[A-Za-z0-9._~+/-]+=*$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Clients that have no credentials but must answer a Basic challenge send empty ones (`Basic Og==`): that is nobody.
 */
export function parseAuthorization(text: string | undefined): AuthorizationHeader {
  if (text === undefined) return { kind: "none" };
  const [, scheme = "", value = ""] = header.exec(text.trim()) ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return bearerToken.test(value) ? { kind: "bearer", token: value } : { kind: "malformed", scheme: "bearer" };
    case "basic":
      return parseBasic(value);
    default:
      return { kind: "malformed", scheme: "other" };
  }
}

function parseBasic(value: string): AuthorizationHeader {
  const text = base64.test(value) ? decodeUtf8(Buffer.from(value, "base64")) : undefined;
  const colon = text?.indexOf(":") ?? -1;
  if (text === undefined || colon === -1) return { kind: "malformed", scheme: "other" };
  const [name, password] = [text.slice(0, colon), text.slice(colon + 1)];
  return name === "" && password === "" ? { kind: "none" } : { kind: "basic", name, password };
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
