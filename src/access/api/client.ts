import type { z } from "zod";
import type { Asked, Contract, Value } from "./contract.ts";

/** A request as any client can send it. */
export interface ApiRequest {
  readonly method: Contract["method"];
  /** Below `/api/v1`, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
}

/** What the API refuses, as it tells it. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
  constructor(status: number, told: { readonly detail: string; readonly code: string; readonly requestId: string }) {
    super(told.detail);
    this.status = status;
    this.code = told.code;
    this.requestId = told.requestId;
  }
}

/** Calls routes by their contracts: what is given and what comes back has the contract's types. @throws ApiRefusal */
export type CallApi = <C extends Contract>(contract: C, asked: Asked<C>) => Promise<Value<C>>;

type Texts = Readonly<Record<string, string | undefined>>;

/** What is the same of every contract's input. */
interface AnyAsked {
  readonly params?: Texts;
  readonly query?: Texts;
  readonly body?: unknown;
  readonly ifMatch?: string;
  readonly dryRun?: boolean;
}

export const apiClient = (send: (request: ApiRequest) => Promise<ApiAnswer>): CallApi => {
  return async (contract, asked) => {
    const { status, text } = await send(requestOf(contract, asked));
    if (status >= 300) throw refusalOf(status, text);
    return valueOf(contract, text);
  };
};

function requestOf(
  { method, path }: Contract,
  { params = {}, query = {}, body, ifMatch, dryRun }: AnyAsked,
): ApiRequest {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
  if (dryRun === true) parameters.set("dryRun", "true");
  const search = parameters.size === 0 ? "" : `?${parameters.toString()}`;
  return {
    method,
    path: `${filled}${search}`,
    headers: {
      accept: "application/json",
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(ifMatch !== undefined && { "if-match": ifMatch }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
}

function valueOf<C extends Contract>({ output, streams }: C, text: string): Value<C> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a contract that streams gives
  if (streams !== undefined) return inOnePiece(text) as Value<C>;
  const schema: z.ZodType | undefined = output;
  const parsed = schema?.safeParse(parseJson(text));
  if (parsed !== undefined && !parsed.success) {
    throw new ApiRefusal(502, { detail: "the server answers something else; is it of another version?", ...unknown });
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was parsed by this contract's schema
  return parsed?.data as Value<C>;
}

async function* inOnePiece(text: string): AsyncGenerator<string> {
  yield text;
}

const unknown = { code: "UNKNOWN", requestId: "" };

function refusalOf(status: number, text: string): ApiRefusal {
  const told = parseJson(text);
  const member = (name: string): string | undefined => {
    const value: unknown =
      typeof told === "object" && told !== null ? new Map(Object.entries(told)).get(name) : undefined;
    return typeof value === "string" ? value : undefined;
  };
  const { code, requestId } = unknown;
  return new ApiRefusal(status, {
    detail: member("detail") ?? `the server answers ${status}`,
    code: member("code") ?? code,
    requestId: member("requestId") ?? requestId,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
