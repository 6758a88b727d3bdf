import { z } from "zod";
import { isLoopback } from "./loopback.ts";

/** Where tokens come from that others sign: TLS, or this machine itself. */
export const issuerUrl = z
  .string()
  .max(512)
  .refine(isIssuerUrl, "must be https://<host>, or http:// of this machine itself, without a query");

/** Letter by letter what tokens say, so nothing is made of it that is not there. */
export function isIssuerUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^[!-~]+$/.test(text) || /[?#@\\]/.test(text)) return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(`${url.hostname}:${url.port}`));
}
