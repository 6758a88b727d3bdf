import { isIP, isIPv6 } from "node:net";
import { openNetworks } from "../platform/net/networks.ts";
import type { HeaderFields, Incoming } from "../platform/runtime/http.ts";
import { parseHost } from "./challenge.ts";

export interface ProxySettings {
  /** `http.trustedProxies` */
  readonly networks: readonly string[];
  /** Which of the two kinds of header those proxies write; what they pass on of the other, anyone may have sent. */
  readonly header: "x-forwarded" | "forwarded";
}

/** A request as its client sent it to the first of the proxies. */
export type TrustProxies = (request: Incoming) => Incoming;

/** What proxies tell of one of them, beginning with the last; `undefined` where it is nothing that can be read. */
interface Hop {
  /** Whom it was asked by. */
  readonly address: string | undefined;
  readonly scheme?: string | undefined;
  readonly host?: string | undefined;
}

/** No chain of proxies is longer; what a client puts in front of it is not even read. */
const mostHops = 32;

/**
 * Takes from a proxy's headers who asks, by which scheme, and for which host; nothing of it where the connection is not
 * from a trusted proxy. The client is the last hop that is no trusted proxy: what stands before it, it may have made up.
 */
export function trustedProxies({ networks, header }: ProxySettings): TrustProxies {
  const trusted = openNetworks(networks);
  if (networks.length === 0) return (request) => request;
  return (request) => {
    if (!trusted.has(request.remoteAddress)) return request;
    const { headers } = request;
    const told = header === "forwarded" ? forwarded(headers) : xForwarded(headers);
    let client: Hop = { ...told.nearest, address: request.remoteAddress };
    for (const hop of told.hops) {
      if (hop.address === undefined) break;
      client = hop;
      if (!trusted.has(hop.address)) break;
    }
    const scheme = schemeOf(client.scheme) ?? request.scheme;
    const host = parseHost(client.host ?? "");
    return {
      ...request,
      scheme,
      remoteAddress: client.address ?? request.remoteAddress,
      proxyAddress: request.remoteAddress,
      headers: host === undefined ? headers : withHost(headers, host),
    };
  };
}

const withHost = (headers: HeaderFields, host: string): HeaderFields => ({
  get: (name) => (name === "host" ? host : headers.get(name)),
  has: (name) => name === "host" || headers.has(name),
});

function schemeOf(text: string | undefined): "http" | "https" | undefined {
  const lower = text?.toLowerCase();
  return lower === "http" || lower === "https" ? lower : undefined;
}

interface Told {
  /** Of the connection itself. */
  readonly nearest: Omit<Hop, "address">;
  readonly hops: readonly Hop[];
}

/**
 * Of scheme and host proxies write one value over another as often as they add theirs, so there is no telling which
 * belongs to which hop: what the nearest one said last counts.
 */
function xForwarded(headers: Incoming["headers"]): Told {
  const nearest = {
    scheme: lastOf(headers.get("x-forwarded-proto")),
    host: lastOf(headers.get("x-forwarded-host")),
  };
  const addresses = listOf(headers.get("x-forwarded-for"));
  return { nearest, hops: addresses.map((text) => ({ ...nearest, address: addressOf(text) })) };
}

const lastOf = (text: string | undefined): string | undefined => listOf(text)[0];

/** The members of a list, beginning with the last. */
function listOf(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  const members: string[] = [];
  let end = text.length;
  while (end >= 0 && members.length < mostHops) {
    const comma = end === 0 ? -1 : text.lastIndexOf(",", end - 1);
    members.push(text.slice(comma + 1, end).trim());
    end = comma;
  }
  return members;
}

/** An address with or without a port, as proxies write it; IPv6 in brackets where there is one. */
function addressOf(text: string): string | undefined {
  const [, inBrackets, dotted] = /^(?:\[([0-9a-f:.]+)\]|(\d+(?:\.\d+){3}))(?::\d{1,5})?$/i.exec(text) ?? [];
  if (inBrackets !== undefined && !isIPv6(inBrackets)) return undefined;
  const address = inBrackets ?? dotted ?? text;
  return isIP(address) === 0 || address.includes("%") ? undefined : address.toLowerCase();
}

const token = String.raw`[!#$%&'*+.^_|~0-9a-z\x60-]+`;
const pair = new RegExp(String.raw`^\s*(${token})=(?:(${token})|"((?:[^"\\]|\\.)*)")\s*$`, "i");

/** RFC 7239. An element that is not by its rules tells nothing, nor does what stands before it. */
function forwarded(headers: Incoming["headers"]): Told {
  const text = headers.get("forwarded");
  const hops: Hop[] = [];
  const told = { nearest: {}, hops };
  if (text === undefined) return told;
  for (const element of lastElements(text)) {
    const pairs = new Map<string, string>();
    for (const part of element) {
      const [, name = "", plain, quoted] = pair.exec(part) ?? [];
      const key = name.toLowerCase();
      // One that is twice there, or is none, makes the whole of it unreadable.
      if (key === "" || pairs.has(key)) return told;
      pairs.set(key, plain ?? (quoted ?? "").replace(/\\(.)/g, "$1"));
    }
    hops.push({ address: addressOf(pairs.get("for") ?? ""), scheme: pairs.get("proto"), host: pairs.get("host") });
  }
  return told;
}

/**
 * Elements with their pairs, beginning with the last; a comma or semicolon in quotes parts nothing. Read from the end, so
 * that a quote which a client leaves open takes nothing of what proxies have added behind it.
 */
function lastElements(text: string): readonly (readonly string[])[] {
  const elements: string[][] = [];
  let pairs: string[] = [];
  let isQuoted = false;
  let end = text.length;
  for (let at = end - 1; at >= -1 && elements.length < mostHops; at--) {
    const sign = text.charAt(at);
    if (sign === '"' && !/(?:^|[^\\])(?:\\\\)*\\$/.test(text.slice(Math.max(0, at - 8), at))) isQuoted = !isQuoted;
    if (at >= 0 && (isQuoted || (sign !== "," && sign !== ";"))) continue;
    pairs.push(text.slice(at + 1, end));
    end = at;
    if (sign === ";") continue;
    elements.push(pairs);
    pairs = [];
  }
  return elements;
}
