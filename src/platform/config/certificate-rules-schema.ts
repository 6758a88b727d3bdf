import { z } from "zod";

/** Of the names in a certificate: the common name of the subject, or one of the alternative names. */
export const certificateField = z.enum(["commonName", "email", "uri", "dns"]);

const name = z.string().min(1).max(255);

const rule = z
  .strictObject({
    field: certificateField,
    /** The whole of it, letter by letter. */
    value: z.string().min(1).max(1024),
    account: name.optional(),
    robot: name.optional(),
  })
  .refine(({ account, robot }) => (account === undefined) !== (robot === undefined), {
    path: ["account"],
    error: "needs an account or a robot, and not both",
  });

const mostRules = 1000;

/** Whose certificate it is; the first that fits counts. */
export const certificateRules = z.array(rule).max(mostRules);

export type CertificateField = z.infer<typeof certificateField>;
export type CertificateRule = z.infer<typeof rule>;
