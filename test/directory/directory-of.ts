import { sourcesSchema } from "../../src/platform/config/sources-schema.ts";
import type { PasswordSource } from "../../src/access/sources/source.ts";
import { sourceOf } from "../../src/access/sources/source-of.ts";

/** The source that some settings describe, which is to be a directory. */
export function directoryOf(settings: object): PasswordSource {
  const [parsed] = sourcesSchema.parse([settings]);
  const source = parsed && sourceOf(parsed);
  if (source?.kind !== "password") throw new Error("no directory");
  return source;
}
