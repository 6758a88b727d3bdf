import { z } from "zod";

const headers = /^[!#$%&'*+.^_|~0-9A-Za-z`-]+=[\x21-\x7e ]*$/;

const endpoint = z
  .url({ protocol: /^https?$/ })
  .refine((text) => !URL.canParse(text) || new URL(text).username === "", "must have no password: see tracing.headers");

/** Without an endpoint nothing is traced. */
export const tracingSchema = z
  .strictObject({
    /** Where spans are sent in OTLP over HTTP; an address without a path has `/v1/traces` behind it. */
    endpoint: endpoint.optional(),
    /** Sent along, as `name=value` with commas between: often the collector's key. */
    headers: z
      .string()
      .refine((text) => text.split(",").every((one) => headers.test(one.trim())), "must be name=value,name=value")
      .meta({ writeOnly: true })
      .optional(),
    /** Authorities in PEM that are trusted for it beside the usual ones. */
    caFile: z.string().min(1).optional(),
    timeoutSeconds: z.number().int().min(1).max(60).default(10),
    /** How many of the requests are traced: 1 is all of them. */
    sampleRatio: z.number().min(0).max(1).default(1),
    serviceName: z.string().min(1).max(255).default("berth"),
  })
  .prefault({});
