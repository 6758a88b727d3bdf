import { afterAll, beforeAll, expect } from "bun:test";
import { randomBytes } from "node:crypto";
import type { Dialect } from "../../src/platform/database/database.ts";
import { createTestDatabase } from "../support/databases.ts";
import { type ServerOptions, startServer, type TestServer } from "../support/server.ts";
import { exchange, type RawAnswer, type RawRequest } from "./http-exchange.ts";

export interface Call {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Text and bytes go with a Content-Length; an iterable goes in chunks. */
  readonly body?: string | RawRequest["body"];
  readonly awaitContinue?: boolean;
  readonly keepAlive?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly interim: readonly number[];
  readonly bytes: Buffer;
  readonly text: string;
  /** All headers by lower-case name; several of one name are joined as HTTP joins them. */
  readonly headers: Readonly<Record<string, string>>;
  header(name: string): string | undefined;
  json(): unknown;
}

export interface Registry {
  send(method: string, target: string, call?: Call): Promise<Answer>;
  /** The same registry, spoken to with other credentials: an Authorization header, or none at all. */
  as(authorization: string | undefined): Registry;
}

export interface ServedRegistry extends Registry {
  server(): TestServer;
}

/** The codes of the distribution specification, and the extras that clients of docker registries know. */
const publishedCodes: ReadonlySet<string> = new Set([
  ..."BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN".split(" "),
  ..."MANIFEST_INVALID MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED".split(" "),
  ..."UNSUPPORTED TOOMANYREQUESTS TAG_INVALID PAGINATION_NUMBER_INVALID UNKNOWN UNAVAILABLE".split(" "),
]);

export interface ProblemEntry {
  readonly code: string;
  readonly message?: string;
  readonly detail?: unknown;
}

export const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

/** Speaks to the server as its administrator. */
export const registryOf = (server: TestServer): Registry =>
  connect(() => server.host, basic(server.admin.username, server.admin.password));

export interface ServedOptions extends ServerOptions {
  /** On a database of this kind, made for this server; on the server's own SQLite when absent. */
  readonly dialect?: Dialect;
}

/** One server for all tests of the calling file or block, spoken to as its administrator. */
export function useRegistry({ dialect, ...options }: ServedOptions = {}): ServedRegistry {
  const used = new AsyncDisposableStack();
  let started: TestServer | undefined;
  const server = (): TestServer => {
    if (started === undefined) throw new Error("the server runs only while tests run");
    return started;
  };
  beforeAll(async () => {
    const database = dialect === undefined ? undefined : used.use(await createTestDatabase(dialect));
    const env = { ...options.env, ...(database && { BERTH_DATABASE_URL: database.url }) };
    started = used.use(await startServer({ ...options, env }));
  }, 60_000);
  afterAll(() => used.disposeAsync());
  const asAdmin = (): Registry => registryOf(server());
  return {
    server,
    send: (...call) => asAdmin().send(...call),
    as: (authorization) => connect(() => server().host, authorization),
  };
}

function connect(host: () => string, authorization: string | undefined): Registry {
  return {
    async send(method, target, call = {}) {
      const headers = Object.entries(call.headers ?? {}).flatMap(([name, values]) =>
        [values].flat().map((value): [string, string] => [name, value]),
      );
      if (authorization !== undefined) headers.unshift(["Authorization", authorization]);
      const body = typeof call.body === "string" ? Buffer.from(call.body) : call.body;
      const { awaitContinue, keepAlive } = call;
      const answer = await exchange(host(), { method, target, headers, body, awaitContinue, keepAlive });
      const request = `${method} ${target.slice(0, 300)}`;
      if (target.startsWith("/v2")) expectPublishedProblems(answer, request);
      expectWarningForm(answer, request);
      return toAnswer(answer);
    },
    as: (other) => connect(host, other),
  };
}

/** What holds for every answer of the registry, whatever a test asks for. */
function expectPublishedProblems(answer: RawAnswer, request: string): void {
  if (answer.status < 400 || answer.body.length === 0) return;
  const type = answer.headers.find(([name]) => name === "content-type")?.[1] ?? "";
  if (!type.startsWith("application/json")) throw new Error(`${request}: an error of type "${type}"`);
  const { errors } = JSON.parse(answer.body.toString()) as { errors?: readonly ProblemEntry[] };
  const wellFormed =
    Array.isArray(errors) && errors.length > 0 && errors.every((problem) => publishedCodes.has(problem.code));
  if (!wellFormed) throw new Error(`${request}: not an error body of the protocol: ${answer.body.toString()}`);
}

/** The only form that clients show: no agent, no date, quotes escaped; and not too much of it. */
function expectWarningForm(answer: RawAnswer, request: string): void {
  const warnings = answer.headers.filter(([name]) => name === "warning").map(([, value]) => value);
  const wellFormed = warnings.every((value) => /^299 - "(?:[^"\\\r\n]|\\.)*"$/.test(value));
  if (!wellFormed || warnings.join("").length > 4096) throw new Error(`${request}: Warning: ${warnings.join(", ")}`);
}

function toAnswer(raw: RawAnswer): Answer {
  const headers: Record<string, string> = {};
  for (const [name, value] of raw.headers) headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  return {
    status: raw.status,
    interim: raw.interim,
    bytes: raw.body,
    text: raw.body.toString(),
    headers,
    header: (name) => headers[name.toLowerCase()],
    json: () => JSON.parse(raw.body.toString()) as unknown,
  };
}

export const problemsOf = (answer: Answer): readonly ProblemEntry[] =>
  (answer.json() as { errors: readonly ProblemEntry[] }).errors;

/** The status, and that the first problem has one of the codes. */
export function expectProblem(answer: Answer, status: number | readonly number[], ...codes: readonly string[]): void {
  expect([status].flat()).toContain(answer.status);
  expect(answer.header("content-type")).toStartWith("application/json");
  const [first] = problemsOf(answer);
  expect(codes).toContain(first?.code ?? "no problem at all");
}

/** Any refusal the client is to blame for; 5xx is never an answer to bad input. */
export function expectClientError(answer: Answer): void {
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
}

/** A repository that no other test knows. */
export const freshRepository = (prefix = "acme/app"): string => `${prefix}-${randomBytes(6).toString("hex")}`;

/** The Location of an answer; it has to be relative to the contacted host. */
export function locationOf(answer: Answer): string {
  const location = answer.header("location") ?? "";
  expect(location).toStartWith("/");
  expect(location).not.toStartWith("//");
  return location;
}

/** Adds query parameters to a Location, which may have some already. */
export const withQuery = (location: string, query: string): string =>
  `${location}${location.includes("?") ? "&" : "?"}${query}`;

/** The target of `Link: <...>; rel="next"`, or undefined on a last page. */
export function nextPage(answer: Answer): string | undefined {
  const link = answer.header("link");
  if (link === undefined) return undefined;
  const [, target] = /^<([^>]+)>; ?rel="next"$/.exec(link) ?? [];
  expect(target).toStartWith("/v2/");
  return target;
}

/** Follows Link to the end and returns every page. */
export async function allPages(registry: Registry, target: string): Promise<readonly Answer[]> {
  const pages: Answer[] = [];
  for (let next: string | undefined = target; next !== undefined;) {
    const page = await registry.send("GET", next);
    expect(page.status).toBe(200);
    pages.push(page);
    if (pages.length > 1000) throw new Error("paging does not end");
    next = nextPage(page);
  }
  return pages;
}
