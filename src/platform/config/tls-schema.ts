import { z } from "zod";
import { address } from "./address.ts";

/** As RFC 8555 can show that they are ours over HTTP or TLS: no wildcard, no address. */
const host = z
  .string()
  .toLowerCase()
  .regex(
    /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    "must be DNS names, such as registry.example.org, and no wildcards",
  );
const mostHosts = 100;

const acmeSchema = z
  .strictObject({
    /** Names to have a certificate for; with one or more, it comes from an authority. */
    hosts: z.array(host).min(1).max(mostHosts).optional(),
    directoryUrl: z
      .url({ protocol: /^https$/ })
      .max(2048)
      .default("https://acme-v02.api.letsencrypt.org/directory"),
    /** Where the authority tells of what goes wrong. */
    email: z.email().optional(),
    /** The authority's; nobody agrees by accident. */
    agreeToTerms: z.boolean().default(false),
    /** How the authority is shown that the names are ours; tls-alpn-01 where it is not said. */
    challenge: z.enum(["tls-alpn-01", "http-01"]).optional(),
    /** Where http-01 is answered. */
    httpAddr: address.default(":80"),
    /** The authority's own certificate is signed by one of these. */
    caFile: z.string().min(1).optional(),
    externalAccount: z
      .strictObject({
        keyId: z.string().min(1).max(1024).optional(),
        hmacKey: z
          .string()
          .regex(/^[A-Za-z0-9_-]{22,}={0,2}$/, "must be base64url, as the authority gave it")
          .meta({ writeOnly: true })
          .optional(),
      })
      .prefault({}),
  })
  .superRefine((acme, context) => {
    const needs = (path: readonly string[], message: string): void => {
      context.addIssue({ code: "custom", path: [...path], message });
    };
    const { hosts, agreeToTerms, challenge, email, externalAccount } = acme;
    const { keyId, hmacKey } = externalAccount;
    if (hosts === undefined) {
      const given = { challenge, email, agreeToTerms: agreeToTerms || undefined, keyId };
      for (const [key, value] of Object.entries(given))
        if (value !== undefined) needs(key === "keyId" ? ["externalAccount", key] : [key], "needs tls.acme.hosts too");
    } else {
      if (!agreeToTerms) needs(["agreeToTerms"], "must be true: the authority's terms of service have to be agreed to");
      if (new Set(hosts).size < hosts.length) needs(["hosts"], "must name each host once");
    }
    if (keyId !== undefined && hmacKey === undefined)
      needs(["externalAccount", "keyId"], "needs tls.acme.externalAccount.hmacKey too");
    if (keyId === undefined && hmacKey !== undefined)
      needs(["externalAccount", "hmacKey"], "needs tls.acme.externalAccount.keyId too");
  });

export const tlsSchema = z
  .strictObject({
    /** The certificate in PEM, the chain behind it. With it and its key the server speaks HTTPS alone. */
    certFile: z.string().min(1).optional(),
    keyFile: z.string().min(1).optional(),
    /** How often the two are looked at for a renewal. */
    checkSeconds: z.number().int().min(1).max(3600).default(10),
    acme: acmeSchema.prefault({}),
  })
  .superRefine(({ certFile, keyFile, acme: { hosts } }, context) => {
    if (hosts !== undefined && (certFile !== undefined || keyFile !== undefined)) {
      const message =
        "a certificate comes from files or from an authority: remove tls.certFile and tls.keyFile, or this";
      context.addIssue({ code: "custom", path: ["acme", "hosts"], message });
    }
    if ((certFile === undefined) === (keyFile === undefined)) return;
    const [given, missing] = certFile === undefined ? ["keyFile", "certFile"] : ["certFile", "keyFile"];
    context.addIssue({ code: "custom", path: [given], message: `needs tls.${missing} too` });
  });
