import { expect } from "bun:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import {
  type Answer,
  basic,
  type ServedOptions,
  type ServedRegistry,
  useRegistry,
} from "../protocol/registry-client.ts";

export interface Ask {
  /** Name and password; the administrator's where nothing is said, nobody's for `null`. */
  readonly as?: readonly [name: string, password: string] | null;
  readonly json?: unknown;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation {
  readonly operationId: string;
  readonly method: string;
  /** Below `/api/v1`. */
  readonly path: string;
  readonly permission: unknown;
}

export interface Api {
  readonly registry: ServedRegistry;
  /** Every answer is one that the server's own OpenAPI file tells of. */
  ask(method: string, path: string, ask?: Ask): Promise<Answer>;
  operations(): Promise<readonly Operation[]>;
  document(): Promise<OpenApi>;
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: unknown;
}

interface OperationObject {
  readonly operationId: string;
  readonly "x-permission": unknown;
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

const base = "/api/v1";

/** The API of one server for all tests of the calling block. */
export function useApi(options: ServedOptions = {}): Api {
  const registry = useRegistry(options);
  let read: Promise<OpenApi> | undefined;
  let check: Promise<(method: string, path: string, answer: Answer) => void> | undefined;
  const document = (): Promise<OpenApi> =>
    (read ??= registry
      .as(undefined)
      .send("GET", `${base}/openapi.json`)
      .then((answer) => answer.json() as OpenApi));
  return {
    registry,
    document,
    async operations() {
      const { paths } = await document();
      return Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
          operationId: operation.operationId,
          method: method.toUpperCase(),
          path,
          permission: operation["x-permission"],
        })),
      );
    },
    async ask(method, path, { as, json, body, headers } = {}) {
      const { username, password } = registry.server().admin;
      const authorization = as === null ? undefined : basic(...(as ?? [username, password]));
      const answer = await registry.as(authorization).send(method, `${base}${path}`, {
        headers: { ...(json !== undefined && { "content-type": "application/json" }), ...headers },
        ...(json === undefined ? body !== undefined && { body } : { body: JSON.stringify(json) }),
      });
      check ??= document().then(checker);
      (await check)(method, path, answer);
      return answer;
    },
  };
}

/** What holds for every answer, whatever a test asks for. */
function checker({ paths, components }: OpenApi): (method: string, path: string, answer: Answer) => void {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema({ $id: "berth:", components });
  const compiled = new Map<string, ValidateFunction>();
  const validate = (schema: object, value: unknown, what: string): void => {
    const key = JSON.stringify(schema);
    const check = compiled.get(key) ?? ajv.compile(withRefs(schema));
    compiled.set(key, check);
    if (!check(value)) throw new Error(`${what}: ${ajv.errorsText(check.errors)}: ${JSON.stringify(value)}`);
  };
  const problem = { $ref: "#/components/schemas/Problem" };
  return (method, path, answer) => {
    const what = `${method} ${path}: ${String(answer.status)}`;
    const [plain = ""] = path.split("?", 1);
    const operation = operationAt(paths, plain)?.[method.toLowerCase()];
    expect(answer.status, what).toBeLessThan(500);
    expect(answer.header("cache-control"), what).toBe("no-store");
    if (answer.status >= 400) {
      expect(answer.header("content-type"), what).toBe("application/problem+json");
      validate(problem, answer.json(), what);
      const { status, requestId } = answer.json() as { readonly status: number; readonly requestId: string };
      expect([status, requestId]).toEqual([answer.status, answer.header("x-request-id") ?? ""]);
      return;
    }
    if (operation === undefined) return;
    const response = operation.responses[String(answer.status)];
    if (response === undefined) throw new Error(`${what}: the OpenAPI file does not tell of this status`);
    const [type = "", { schema } = {}] = Object.entries(response.content ?? {})[0] ?? [];
    if (type !== "") expect(answer.header("content-type"), what).toStartWith(type);
    if (type !== "" && type !== "application/json") return;
    if (schema === undefined) expect(answer.text, what).toBe("");
    else validate(schema, answer.json(), what);
  };
}

/** Of the document, which has another name here. */
const withRefs = (schema: object): object =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"berth:#/components/')) as object;

function operationAt(paths: OpenApi["paths"], path: string) {
  const found = Object.entries(paths).filter(([template]) => {
    const pattern = template.replaceAll("{repository}", "(?:.+)").replaceAll(/\{\w+\}/g, "[^/]+");
    return new RegExp(`^${pattern}$`).test(path);
  });
  // The one with the most words, as the server takes it.
  return found.toSorted(([one], [other]) => wordsIn(other) - wordsIn(one))[0]?.[1];
}

const wordsIn = (template: string): number => template.split("/").filter((segment) => !segment.startsWith("{")).length;

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly requestId: string;
  readonly faults?: readonly { readonly at: string; readonly reason: string }[];
}

export const problemIn = (answer: Answer): Problem => answer.json() as Problem;

/** Status and code of a refusal. */
export function expectRefused(answer: Answer, status: number, code: string): void {
  expect([answer.status, problemIn(answer).code]).toEqual([status, code]);
}

/** Whether a route answers those who have not signed in. */
export const isOpen = (permission: unknown): boolean => permission === "nothing" || permission === "anyone";

export const password = "a-long-enough-password";
let made = 0;
/** A name that no other test has. */
export const freshName = (prefix = "user"): string => `${prefix}-${String(++made)}`;
