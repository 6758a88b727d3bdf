import { z } from "zod";
import { certificateField, certificateRules } from "./certificate-rules-schema.ts";

/** Certificates that clients show the server itself. */
export const clientCertificatesSchema = z
  .strictObject({
    /** Authorities in PEM: each certificate is signed by one of them. With it, clients are asked for theirs. */
    caFile: z.string().min(1).optional(),
    /** Whether nobody comes in without one. */
    required: z.boolean().default(false),
    rules: certificateRules.optional(),
    /** Where no rule says it: this holds the account's name. */
    account: certificateField.optional(),
  })
  .superRefine(({ caFile, required, rules = [], account }, context) => {
    const needs = (key: string, message: string): void => {
      context.addIssue({ code: "custom", path: [key], message });
    };
    const isOfUse = { required, rules: rules.length > 0, account: account !== undefined };
    if (caFile === undefined) {
      for (const [key, isSet] of Object.entries(isOfUse)) if (isSet) needs(key, "needs caFile too");
    } else if (!Object.values(isOfUse).includes(true)) needs("caFile", "needs rules, account or required too");
  });
