import { readFile } from "node:fs/promises";
import { type GuardedFetch, guardedFetch } from "../../platform/net/guarded-fetch.ts";
import { OutboundError } from "../../platform/net/outbound.ts";
import { kept } from "./kept.ts";
import { type Discovery, loadMetadata } from "./metadata.ts";
import { type Expected, type VerifiedToken, verifyToken } from "./verify-token.ts";

/** Who signs tokens, and how they are reached. */
export interface IssuerSettings {
  /** Letter by letter what tokens and the discovery document say; as `isIssuerUrl` has it. */
  readonly issuer: string;
  /** Authorities in PEM that are trusted beside the usual ones; read anew each time. */
  readonly caFile?: string;
  /** Hosts and networks that may be asked although they are not on the internet. */
  readonly allow?: readonly string[];
}

export interface IssuerDeps {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** When it begins not to answer, and why; `undefined` when it answers again. */
  readonly onState: (problem: string | undefined) => void;
  /** Until an answer is whole; 10 seconds by default. */
  readonly wholeMs?: number;
}

/** An issuer of OpenID Connect, whose documents are kept for ten minutes. */
export interface Issuer {
  /** @throws IssuerUnavailable */
  discover(): Promise<Discovery>;
  verify(token: string, expected: Expected): Promise<VerifiedToken>;
  /** The way to its other endpoints: without redirects, to where its settings allow. @throws OutboundError */
  readonly ask: GuardedFetch;
}

const connectMs = 5000;
const usualWholeMs = 10_000;
const mostAnswerBytes = 256 * 1024;

export function openIssuer(settings: IssuerSettings, { now, onState, wholeMs = usualWholeMs }: IssuerDeps): Issuer {
  const { issuer } = settings;
  const ask = guarded(settings, wholeMs);
  const metadata = kept(() => loadMetadata(issuer, ask), { now, onState });
  return {
    ask,
    discover: async () => (await metadata.current()).discovery,
    verify: (token, expected) => verifyToken(token, { ...expected, issuer, metadata, now }),
  };
}

function guarded({ issuer, caFile, allow = [] }: IssuerSettings, wholeMs: number): GuardedFetch {
  const policy = { allow, connectMs, wholeMs, maxBodyBytes: mostAnswerBytes };
  if (caFile === undefined) return guardedFetch(policy);
  return async (request) => guardedFetch({ ...policy, ca: await readAuthorities(issuer, caFile) })(request);
}

async function readAuthorities(issuer: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    throw new OutboundError("tls", `${issuer}: caFile: ${path} cannot be read`);
  }
}
