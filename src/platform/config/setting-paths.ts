import { z } from "zod";
import { configSchema } from "./schema.ts";

/** The path of every setting, in the order of the schema: `http.addr`. */
export const settingPaths: readonly string[] = pathsOf(configSchema);

/** `http.publicUrl` is `BERTH_HTTP_PUBLIC_URL`. */
export const variableName = (path: string): string =>
  `BERTH_${path
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll(".", "_")
    .toUpperCase()}`;

/** Text becomes what the setting is made of; what does not fit is left for the schema to refuse. */
export function toValue(path: string, text: string): unknown {
  const schema = schemaAt(path);
  if (schema instanceof z.ZodNumber && /^\d+(?:\.\d+)?$/.test(text)) return Number(text);
  if (schema instanceof z.ZodBoolean && (text === "true" || text === "false")) return text === "true";
  if (schema instanceof z.ZodArray && text.trimStart().startsWith("[")) return fromJson(text);
  if (schema instanceof z.ZodArray && text !== "") return text.split(",").map((item) => item.trim());
  return text;
}

/** A list of more than words is written as JSON. */
function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether a setting is shown to nobody. */
export const isSecret = (path: string): boolean => schemaAt(path).meta()?.["writeOnly"] === true;

function schemaAt(path: string): z.ZodType {
  let schema: z.ZodType = configSchema;
  for (const key of path.split(".")) schema = childrenOf(schema)?.[key] ?? schema;
  return unwrap(schema);
}

function pathsOf(schema: z.ZodType, prefix = ""): readonly string[] {
  const children = childrenOf(schema);
  if (children === undefined) return [prefix];
  return Object.entries(children).flatMap(([key, child]) => pathsOf(child, prefix === "" ? key : `${prefix}.${key}`));
}

function childrenOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? inner.shape : undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  const isWrapper =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  if (!isWrapper) return schema;
  const inner = schema.unwrap();
  return inner instanceof z.ZodType ? unwrap(inner) : schema;
}
