import { isIP } from "node:net";
import { z } from "zod";
import { parseNetwork } from "../net/networks.ts";
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

const host = z
  .string()
  .max(253)
  .refine(isHostOrNetwork, "must be the name of a host, an address, or a network such as 10.0.0.0/8");

function isHostOrNetwork(text: string): boolean {
  if (text.includes("/") || isIP(text) !== 0) return (parseNetwork(text)?.bits ?? 0) > 0;
  return /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(text);
}

const mostIssuers = 64;

/** Those of workloads' tokens that the internet's usual way does not lead to. */
export const issuersSchema = z
  .array(
    z.strictObject({
      url: issuerUrl,
      /** Authorities in PEM that it is trusted by, beside the usual ones. */
      caFile: z.string().min(1).max(4096).optional(),
      /** Hosts and networks beside its own where its keys may be, although they are not on the internet. */
      allow: z.array(host).max(64).default([]),
    }),
  )
  .max(mostIssuers)
  .superRefine((issuers, context) => {
    const urls = issuers.map(({ url }) => url);
    const twice = urls.find((url, at) => urls.indexOf(url) < at);
    if (twice !== undefined) context.addIssue({ code: "custom", message: `${twice} is there twice` });
  });

export type ListedIssuer = z.infer<typeof issuersSchema>[number];
