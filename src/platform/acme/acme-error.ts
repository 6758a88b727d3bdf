/** Why there is no certificate this time. The message may be logged and shown. */
export class AcmeError extends Error {
  override readonly name = "AcmeError";
  /** The authority's word for it, without its namespace: `badNonce`. */
  readonly type: string | undefined;
  /** How long the authority wants not to be asked. */
  readonly retryAfterMs: number | undefined;
  constructor(
    message: string,
    more: { readonly type?: string | undefined; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message);
    this.type = more.type;
    this.retryAfterMs = more.retryAfterMs;
  }
}

const mostCharacters = 300;

/** What an authority says, as far as it is fit for a log. */
export function quoteAuthority(text: string): string {
  const oneLine = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return oneLine.length > mostCharacters ? `${oneLine.slice(0, mostCharacters)}...` : oneLine;
}
