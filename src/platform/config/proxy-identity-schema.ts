import { z } from "zod";
import { certificateField, certificateRules } from "./certificate-rules-schema.ts";

/** What these say is somebody else's to say, or the whole of the request. */
const otherHeaders = new Set(["authorization", "cookie", "host", "forwarded", "origin"]);

const header = z
  .string()
  .toLowerCase()
  .max(64)
  .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, "must be the name of a header, of letters, digits and - between them")
  .refine((name) => !otherHeaders.has(name), "must be a header that means nothing else");

/**
 * Who a proxy says that a request is from.
 * @param networks as the setting of that name takes them
 */
export const proxyIdentitySchema = (networks: z.ZodType<string[]>) =>
  z
    .strictObject({
      /** Whose word counts: of connections from there alone. */
      networks: networks.optional(),
      /** Has the name of an account. */
      userHeader: header.optional(),
      /** Has the certificate that a client has shown the proxy. */
      certificateHeader: header.optional(),
      /** Authorities in PEM: each certificate is signed by one of them. */
      certificateCaFile: z.string().min(1).optional(),
      /** Whose certificate it is, first. */
      certificateRules: certificateRules.optional(),
      /** Where no rule says it: this holds the account's name. */
      certificateAccount: certificateField.optional(),
    })
    .superRefine((identity, context) => {
      const { networks: from, userHeader, certificateHeader, certificateCaFile } = identity;
      const { certificateRules: rules, certificateAccount } = identity;
      const needs = (key: keyof typeof identity, message: string): void => {
        context.addIssue({ code: "custom", path: [key], message });
      };
      const isUsed = userHeader !== undefined || certificateHeader !== undefined;
      if (isUsed !== (from !== undefined && from.length > 0)) {
        if (isUsed) needs("networks", "must name the proxies: from anyone else, anyone could be anyone");
        else needs("networks", "needs userHeader or certificateHeader too");
      }
      if (userHeader !== undefined && userHeader === certificateHeader) needs("userHeader", "must be another header");
      if (certificateHeader === undefined) {
        for (const key of ["certificateCaFile", "certificateRules", "certificateAccount"] as const)
          if (identity[key] !== undefined) needs(key, "needs certificateHeader too");
        return;
      }
      if (certificateCaFile === undefined) needs("certificateCaFile", "must say who signs the certificates");
      if ((rules ?? []).length === 0 && certificateAccount === undefined)
        needs("certificateRules", "must say whose certificates they are; or certificateAccount does");
    });
