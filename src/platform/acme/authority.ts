import { z } from "zod";
import type { AccountKey } from "./account-key.ts";
import { AcmeError, quoteAuthority } from "./acme-error.ts";

/** The way out: bounded in time, size and redirects by whoever gives it. */
export type Ask = (request: {
  readonly url: string;
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}) => Promise<{
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  bytes(): Promise<Uint8Array>;
}>;

export const authorityUrl = z.url({ protocol: /^https$/ }).max(2048);

const directoryShape = z.object({
  newNonce: authorityUrl,
  newAccount: authorityUrl,
  newOrder: authorityUrl,
  renewalInfo: authorityUrl.optional(),
  meta: z
    .object({ termsOfService: z.string().max(2048).optional(), externalAccountRequired: z.boolean().optional() })
    .optional(),
});
export type Directory = z.infer<typeof directoryShape>;

export interface Answer {
  /** Where what was made is to be found. */
  readonly location: string | undefined;
  /** How long to wait before the next look. */
  readonly retryAfterMs: number | undefined;
  readonly text: string;
}

/** One authority, as one account speaks to it. */
export interface Authority {
  readonly directory: Directory;
  /** Signed; `undefined` as payload only asks ("POST-as-GET"). @throws AcmeError for every refusal */
  post(url: string, payload: object | undefined, account?: string): Promise<Answer>;
  /** Unsigned, for what is open to all. @throws AcmeError */
  get(url: string): Promise<Answer>;
}

export interface AuthorityWish {
  readonly directoryUrl: string;
  readonly ask: Ask;
  readonly key: AccountKey;
  readonly signal: AbortSignal;
}

/** As often as a nonce may be refused in a row: authorities forget them, and some refuse good ones to see what happens. */
const mostNonceRetries = 12;

/** @throws AcmeError, or what `ask` throws */
export async function openAuthority({ directoryUrl, ask, key, signal }: AuthorityWish): Promise<Authority> {
  const request = (method: "GET" | "HEAD" | "POST", url: string, body?: string) =>
    ask({
      url,
      method,
      headers: {
        "user-agent": "berth",
        ...(body !== undefined && { "content-type": "application/jose+json" }),
      },
      signal,
      ...(body !== undefined && { body }),
    });
  const get: Authority["get"] = async (url) => {
    const reply = await request("GET", url);
    return toAnswer(reply.status, reply.headers, await textOf(reply));
  };
  const directory = parseAnswer(directoryShape, (await get(directoryUrl)).text, "directory");
  let nonce: string | undefined;
  const takeNonce = async (): Promise<string> => {
    const held = nonce ?? (await request("HEAD", directory.newNonce)).headers.get("replay-nonce");
    nonce = undefined;
    if (held === undefined || !/^[A-Za-z0-9_-]{1,512}$/.test(held)) throw new AcmeError("the authority gives no nonce");
    return held;
  };
  return {
    directory,
    get,
    async post(url, payload, account) {
      const text = payload === undefined ? "" : JSON.stringify(payload);
      for (let refused = 0; ; refused++) {
        const header = { url, nonce: await takeNonce(), ...(account !== undefined && { account }) };
        const reply = await request("POST", url, JSON.stringify(await key.sign(text, header)));
        nonce = reply.headers.get("replay-nonce");
        try {
          return toAnswer(reply.status, reply.headers, await textOf(reply));
        } catch (error) {
          if (!(error instanceof AcmeError) || error.type !== "badNonce" || refused >= mostNonceRetries) throw error;
        }
      }
    },
  };
}

const textOf = async (reply: Awaited<ReturnType<Ask>>): Promise<string> =>
  new TextDecoder().decode(await reply.bytes());

const problemShape = z.object({
  type: z.string().optional(),
  detail: z.string().optional(),
  subproblems: z.array(z.unknown()).optional(),
});
export const refusalShape = z.object({ type: z.string().optional(), detail: z.string().optional() });
const namespace = "urn:ietf:params:acme:error:";

function toAnswer(status: number, headers: ReadonlyMap<string, string>, text: string): Answer {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"));
  if (status >= 200 && status < 300) return { location: headers.get("location"), retryAfterMs, text };
  const problem = problemShape.safeParse(parseJson(text)).data ?? {};
  const type = problem.type?.startsWith(namespace) === true ? problem.type.slice(namespace.length) : undefined;
  throw new AcmeError(`the authority answers ${status}${told(type, problem.detail)}`, { type, retryAfterMs });
}

export const told = (type: string | undefined, detail: string | undefined): string =>
  [type, detail]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => `: ${quoteAuthority(part ?? "")}`)
    .join("");

/** @throws AcmeError */
export function parseAnswer<T>(shape: z.ZodType<T>, text: string, what: string): T {
  const parsed = shape.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AcmeError(
    `the authority's ${what} is none: ${quoteAuthority(issue?.path.join(".") ?? "")} ${issue?.message}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds, or a date (RFC 9110, 10.2.3); what is neither says nothing. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
