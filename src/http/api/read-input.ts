import { z } from "zod";
import type { Contract } from "../../access/api/contract.ts";
import type { Call } from "../../access/api/route.ts";
import { flag } from "../../access/api/parameters.ts";
import { type JsonValue, parseJsonObject } from "../../oci/json.ts";
import { fail, type Fault } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";

const usualBodyBytes = 64 * 1024;
/** It is asked a few times a second at most: to compile a schema for that is dearer than to go through it. */
const howToParse = { jitless: true } as const;

/** @throws RegistryError OBJECT_UNKNOWN: what cannot be the name of anything names nothing */
export function readParams({ params }: Contract, given: Readonly<Record<string, string>>): unknown {
  if (params === undefined) return {};
  const parsed = params.safeParse(given, howToParse);
  return parsed.success ? parsed.data : fail({ code: "OBJECT_UNKNOWN", what: "object" });
}

const dryRun = { dryRun: flag().optional().describe("whether to only look at what would happen") };
const noQuery = z.strictObject({});

/** The query of a route, with what all of its kind take. */
export const querySchema = ({ query = noQuery, destroys }: Contract): z.ZodObject =>
  destroys === true ? query.extend(dryRun) : query;

export interface ReadQuery {
  readonly query: unknown;
  readonly dryRun: boolean;
}

/** @throws RegistryError INPUT_INVALID, also for a parameter that the route does not know or that is there twice */
export function readQuery(contract: Contract, { query: given }: Incoming): ReadQuery {
  const names = [...new Set(given.keys())];
  const twice = names.filter((name) => given.getAll(name).length > 1);
  if (twice.length > 0) failAt(twice.map((name) => ({ at: named(name), reason: "it is given more than once" })));
  const values = Object.fromEntries(names.map((name) => [name, given.get(name)]));
  const parsed = querySchema(contract).safeParse(values, howToParse);
  if (!parsed.success) return failAt(faultsOf(parsed.error, "query"));
  const { dryRun: only, ...query } = parsed.data;
  return { query, dryRun: only === true };
}

export interface ReadBody {
  readonly body: unknown;
  /** As it came. */
  readonly bytes: Uint8Array;
}

/** @throws RegistryError BODY_TYPE_UNSUPPORTED, BODY_TOO_LARGE, INPUT_INVALID */
export async function readBody(
  { body: schema, mostBodyBytes = usualBodyBytes }: Contract,
  request: Incoming,
): Promise<ReadBody> {
  if (schema === undefined) {
    const bytes = await readBytes(request, 0);
    return { body: {}, bytes };
  }
  if (!isJson(request.headers.get("content-type"))) fail({ code: "BODY_TYPE_UNSUPPORTED" });
  const bytes = await readBytes(request, mostBodyBytes);
  const given = parseJsonObject(bytes);
  if (given === undefined) return failAt([{ at: "body", reason: "must be one JSON object in UTF-8" }]);
  refuseHidden(given);
  const parsed = schema.safeParse(given, howToParse);
  return parsed.success ? { body: parsed.data, bytes } : failAt(faultsOf(parsed.error, "body"));
}

/** JSON may have a member of this name, which a schema does not see. */
function refuseHidden(given: JsonValue | undefined): void {
  if (typeof given !== "object" || given === null) return;
  if (Object.hasOwn(given, "__proto__")) failAt([{ at: "__proto__", reason: "there is no such member" }]);
  for (const value of Object.values(given)) refuseHidden(value);
}

const jsonType = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;
const isJson = (type: string | undefined): boolean => type !== undefined && jsonType.test(type.trim());

async function readBytes({ body, bodyBytes }: Incoming, limitBytes: number): Promise<Uint8Array> {
  const refuse = (): never =>
    limitBytes === 0
      ? failAt([{ at: "body", reason: "this route takes none" }])
      : fail({ code: "BODY_TOO_LARGE", limitBytes });
  if (bodyBytes !== undefined && bodyBytes > limitBytes) refuse();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > limitBytes) refuse();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export type Input = Pick<Call<Contract>, "params" | "query" | "body">;

/** The same of what does not come by HTTP. @throws RegistryError INPUT_INVALID */
export function parseInput(contract: Contract, asked: Readonly<Record<string, unknown>>): Input {
  const parse = (part: "params" | "query" | "body"): unknown => {
    const given = asked[part];
    const values = typeof given === "object" && given !== null ? Object.entries(given) : [];
    const parsed = contract[part]?.safeParse(Object.fromEntries(values.filter(([, value]) => value !== undefined)));
    return parsed === undefined || parsed.success ? (parsed?.data ?? {}) : failAt(faultsOf(parsed.error, part));
  };
  return toInput({ params: parse("params"), query: parse("query"), body: parse("body") });
}

/** Each was read by the contract of the route that gets it. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
export const toInput = (parts: Readonly<Record<keyof Input, unknown>>): Input => parts as Input;

const mostFaults = 20;
const longestName = 64;
/** Of what a client has sent. */
const named = (name: string): string => name.slice(0, longestName);

function faultsOf({ issues }: z.ZodError, whole: string): readonly Fault[] {
  return issues
    .flatMap((issue) => {
      const at = issue.path.join(".");
      if (issue.code !== "unrecognized_keys") return [{ at: at === "" ? whole : at, reason: issue.message }];
      return issue.keys.map((key) => ({
        at: named(at === "" ? key : `${at}.${key}`),
        reason: "there is no such member",
      }));
    })
    .slice(0, mostFaults);
}

const failAt = (faults: readonly Fault[]): never => fail({ code: "INPUT_INVALID", faults });
