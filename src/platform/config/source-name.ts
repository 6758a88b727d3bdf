import { z } from "zod";

/** Of a source of identity. */
export const sourceName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, "must be up to 32 of a-z, 0-9 and - between them");
