import { z } from "zod";
import type { Contract } from "../../access/api/contract.ts";
import type { JsonObject, JsonValue } from "../../oci/json.ts";
import { apiBase, takesKey } from "./answer-call.ts";
import { querySchema } from "./read-input.ts";

/** OpenAPI 3.1 of the routes, made of the contracts that read the requests and write the answers. */
export function openApiOf(contracts: readonly Contract[], version: string): JsonObject {
  const paths: Record<string, Record<string, JsonValue>> = {};
  for (const contract of contracts) {
    const operations = (paths[contract.path] ??= {});
    operations[contract.method.toLowerCase()] = operationOf(contract);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Berth",
      version,
      description:
        "The administration API. Lists are paged by `limit` and `after`; members and parameters that a route does not " +
        "know are refused; what is refused is told as a problem (RFC 9457).",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: apiBase }],
    tags: [...new Set(contracts.map(({ group }) => group))].map((name) => ({ name })),
    security: credentials,
    paths,
    components: {
      securitySchemes: {
        basic: { type: "http", scheme: "basic" },
        token: { type: "http", scheme: "bearer", description: "a personal token, or a robot's secret" },
        session: { type: "apiKey", in: "cookie", name: "berth_session", description: "`__Host-berth` under https" },
      },
      schemas: { Problem: problem },
    },
  };
}

const byThemselves = [{ basic: [] }, { session: [] }];
const credentials = [...byThemselves, { token: [] }];

const problem: JsonObject = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "requestId"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", description: "a word for programs" },
    requestId: { type: "string", description: "what the server's log has it under" },
    faults: {
      type: "array",
      description: "what is wrong in the request, and where",
      items: {
        type: "object",
        required: ["at", "reason"],
        properties: { at: { type: "string" }, reason: { type: "string" } },
      },
    },
  },
};

function operationOf(contract: Contract): JsonObject {
  const { id, group, summary, need, body } = contract;
  return {
    operationId: id,
    tags: [group],
    summary,
    "x-permission": typeof need === "string" ? need : { ...need },
    ...(need === "nothing" && { security: [] }),
    ...(need === "person" && { security: byThemselves }),
    ...(need === "anyone" && { security: [{}, ...credentials] }),
    parameters: [...pathParameters(contract), ...queryParameters(contract), ...headerParameters(contract)],
    ...(body !== undefined && {
      requestBody: { required: true, content: { "application/json": { schema: schemaOf(body, "input") } } },
    }),
    responses: responsesOf(contract),
  };
}

const pathParameters = ({ params, path }: Contract): readonly JsonObject[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: propertyOf(params === undefined ? {} : schemaOf(params, "input"), name),
  }));

function queryParameters(contract: Contract): readonly JsonObject[] {
  const schema = schemaOf(querySchema(contract), "input");
  const { properties, required } = schema;
  const names = typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  return names.map((name) => ({
    name,
    in: "query",
    required: Array.isArray(required) && required.includes(name),
    schema: propertyOf(schema, name),
  }));
}

function headerParameters(contract: Contract): readonly JsonObject[] {
  const { method, versioned } = contract;
  const changes = versioned === true && method !== "GET" && method !== "POST";
  const text = { type: "string" };
  return [
    ...(changes
      ? [
          {
            name: "If-Match",
            in: "header",
            required: true,
            description: "the ETag that was read, or `*`",
            schema: text,
          },
        ]
      : []),
    ...(takesKey(contract)
      ? [
          {
            name: "Idempotency-Key",
            in: "header",
            description: "the same request with the same key is made once",
            schema: text,
          },
        ]
      : []),
  ];
}

function propertyOf({ properties }: JsonObject, name: string): JsonValue {
  if (typeof properties !== "object" || properties === null || !(name in properties)) return { type: "string" };
  const found: JsonValue | undefined = new Map<string, JsonValue | undefined>(Object.entries(properties)).get(name);
  return found ?? { type: "string" };
}

function responsesOf({ output, creates, versioned, method }: Contract): JsonObject {
  const headers = {
    ...(versioned === true && { ETag: { schema: { type: "string" } } }),
    ...(creates !== undefined && { Location: { schema: { type: "string" } } }),
  };
  const good =
    output === undefined
      ? { "204": { description: "done" } }
      : {
          [creates === undefined ? "200" : "201"]: {
            description: method === "GET" ? "as it is" : "done",
            ...(Object.keys(headers).length > 0 && { headers }),
            content: { "application/json": { schema: schemaOf(output, "output") } },
          },
        };
  return {
    ...good,
    default: {
      description: "refused",
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    },
  };
}

/** Answers may get more members; what is asked may have no other. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): JsonObject {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io,
    override({ jsonSchema }) {
      if (io === "output") delete jsonSchema.additionalProperties;
    },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- JSON Schema is JSON
  return json as JsonObject;
}
