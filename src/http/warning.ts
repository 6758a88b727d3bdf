import type { ReplyHeaders } from "../platform/runtime/http.ts";

const mostBytes = 4096;

/**
 * `Warning: 299 - "text"`, the one form that clients show their users (distribution-spec, "Warnings"): no date, no
 * agent, and in all no more than 4096 bytes.
 */
export function warningHeaders(texts: readonly string[]): ReplyHeaders {
  const warnings: string[] = [];
  let bytes = 0;
  for (const text of texts) {
    const warning = `299 - "${text.replaceAll(/[^\x20-\x7e]/g, "?").replaceAll(/["\\]/g, "\\$&")}"`;
    bytes += warning.length;
    if (bytes > mostBytes) break;
    warnings.push(warning);
  }
  return warnings.length === 0 ? {} : { warning: warnings };
}
