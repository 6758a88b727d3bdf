import { isIP } from "node:net";
import { type Address, findAddresses, type Reachable, resolveBySystem } from "./find-address.ts";
import { openNetworks } from "./networks.ts";
import { givenUp, OutboundError, type OutboundPolicy, type OutboundReply, type OutboundRequest } from "./outbound.ts";
import { follow } from "./redirect.ts";
import { type Answer, type OnceLimits, type OneRequest, sendOnce } from "./send-once.ts";

/** @throws OutboundError */
export type GuardedFetch = (request: OutboundRequest) => Promise<OutboundReply>;

const usual = { redirects: 0, connectMs: 10_000, wholeMs: 30_000 };

/**
 * The only way out. Every hop's host is looked up once, its addresses are checked, and the connection goes to what was
 * checked; there is no proxy from the environment that would look it up again.
 */
export function guardedFetch(policy: OutboundPolicy): GuardedFetch {
  const { redirects, connectMs, wholeMs } = { ...usual, ...policy };
  const reachable = reachableBy(policy.allow ?? []);
  const resolve = policy.resolve ?? resolveBySystem;
  return async (request) => {
    const deadline = performance.now() + wholeMs;
    let next = { ...request, method: request.method ?? "GET" };
    for (let hop = 0; ; hop++) {
      const url = parseTarget(next.url);
      const connectBy = Math.min(deadline, performance.now() + connectMs);
      const addresses = await within(findAddresses(url.hostname, reachable, resolve), {
        by: connectBy,
        signal: request.signal,
        what: `${url.origin}: its address was not found in time`,
      });
      const limits = { connectBy, deadline, maxBodyBytes: policy.maxBodyBytes, ca: policy.ca };
      const answer = await sendToOneOf(addresses, { ...next, url }, limits);
      const target = redirects === 0 ? undefined : redirectTarget(answer, url);
      if (target === undefined) return { ...answer, url: url.href };
      answer.cancel();
      if (hop >= redirects) throw new OutboundError("redirect", `${url.origin} redirects more often than is followed`);
      next = follow(next, { from: url, to: parseTarget(target), status: answer.status });
    }
  };
}

/** Of a URL, IPv6 addresses come in brackets. */
const bare = (text: string): string => text.replace(/^\[|\]$/g, "");
const isNetwork = (text: string): boolean => isIP(text.split("/", 1)[0] ?? "") !== 0;

function reachableBy(allowed: readonly string[]): Reachable {
  const allow = allowed.map(bare);
  const hosts = allow.filter((text) => !isNetwork(text)).map((text) => text.toLowerCase().replace(/\.$/, ""));
  return { hosts: new Set(hosts), networks: openNetworks(allow.filter(isNetwork)) };
}

/** Longer ones are nobody's. */
const longestUrl = 8192;
const longestName = 253;

function parseTarget(text: string): URL {
  const url = text.length > longestUrl ? null : URL.parse(text);
  if (url === null || url.hostname.length > longestName)
    throw new OutboundError("request", "an address that is no URL");
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new OutboundError("request", `${url.protocol.slice(0, 20)} is not asked, only http: and https:`);
  if (url.username !== "" || url.password !== "")
    throw new OutboundError("request", `${url.origin}: an address may hold no name and password`);
  return url;
}

const redirecting: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function redirectTarget({ status, headers }: Answer, base: URL): string | undefined {
  const location = redirecting.has(status) ? headers.get("location") : undefined;
  if (location === undefined) return undefined;
  const target = URL.parse(location, base.href);
  if (target === null) throw new OutboundError("redirect", `${base.origin} redirects to what is no address`);
  return target.href;
}

const mostAddresses = 4;

/** A host may be at several addresses of which one does not answer. */
async function sendToOneOf(
  addresses: readonly Address[],
  request: Omit<OneRequest, "address">,
  limits: OnceLimits,
): Promise<Answer> {
  const tried = addresses.slice(0, mostAddresses);
  for (const [at, address] of tried.entries()) {
    const share = (limits.connectBy - performance.now()) / (tried.length - at);
    try {
      return await sendOnce({ ...request, address }, { ...limits, connectBy: performance.now() + share });
    } catch (error) {
      const isConnect = error instanceof OutboundError && error.fault === "connect";
      if (!isConnect || at === tried.length - 1) throw error;
    }
  }
  throw new OutboundError("name", `${request.url.origin}: no address`);
}

interface Wait {
  readonly by: number;
  readonly signal: AbortSignal | undefined;
  readonly what: string;
}

async function within<T>(promise: Promise<T>, { by, signal, what }: Wait): Promise<T> {
  if (signal?.aborted === true) throw givenUp();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new OutboundError("timeout", what)), Math.max(0, by - performance.now()));
  const abort = (): void => reject(givenUp());
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
