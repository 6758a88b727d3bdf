import { hash, randomBytes } from "node:crypto";
import type { DependsOn } from "../../access/decide.ts";
import type { Caller } from "../../access/principal.ts";
import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { untilCommit } from "../../platform/database/until-commit.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { checkReadGates, type Registry } from "../../registry/registry.ts";
import { isUnchanged } from "./conditional.ts";

/** What a request was answered with, and all that decided on it. */
interface Answered {
  readonly reply: Reply;
  readonly caller: Caller;
  /** Which of our endpoints has answered. */
  readonly handler: string;
  /** Of a path that names one. */
  readonly repository: RepositoryName | undefined;
  /** What the decision to give it hangs on beside the database. */
  readonly dependsOn: DependsOn | undefined;
}

interface Answer extends Answered {
  readonly reply: Reply & { readonly kind: "bytes" };
  /** Of a manifest, which read gates may be closed to; the others have none. */
  readonly manifest: KnownManifest | undefined;
}

interface KnownManifest {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** To a client that has its bytes already. */
  readonly unchanged: Reply;
}

export interface RememberedAnswers {
  /** @throws RegistryError a read gate's problem */
  find(request: Incoming): Omit<Answered, "dependsOn"> | undefined;
  /** To be asked for before anything is read for an answer. */
  moment(): number | undefined;
  /** Keeps what may be given again. @returns what to answer with: less, where the client has the bytes already */
  keep(request: Incoming, answered: Answered, moment: number | undefined): Reply;
}

const mostBytes = 16 * 1024 * 1024;
const mostBytesOfOne = 256 * 1024;
/** What an answer takes beside its bytes. */
const overheadBytes = 1024;

/**
 * A manifest, or a page of a list, is a function of path and query, of who asks, and of the database, and the same ones
 * are asked for again and again. An answer is given again while nobody has committed anything since it was made, and the
 * credentials that it was made for are good: 16 µs of the processor instead of 45 for a manifest, and a seventh for a page
 * of 100 tags. A password is no key of the memory: a keyed hash of the credentials is.
 */
export function rememberAnswers(registry: Registry, now = Date.now): RememberedAnswers {
  const answers = untilCommit<Answer>(registry.database, {
    mostBytes,
    bytesOf: ({ reply }, key) => reply.body.byteLength + key.length + overheadBytes,
  });
  const { hashOf, know } = credentialHashes();
  const keyOf = ({ path, queryText, headers, remoteAddress }: Incoming): string => {
    const asked = queryText === "" ? path : `${path}?${queryText}`;
    const credentials = headers.get("authorization");
    // How often an address has guessed wrong decides on right passwords too.
    return credentials === undefined ? asked : `${hashOf(credentials)} ${remoteAddress} ${asked}`;
  };
  return {
    moment: answers.moment,
    find(request) {
      if (!isPlainRead(request)) return undefined;
      const answer = answers.get(keyOf(request));
      if (answer === undefined || !isGood(answer, now())) return undefined;
      const { manifest } = answer;
      if (manifest === undefined) return answer;
      checkReadGates(registry, manifest.repository, manifest.digest);
      return isUnchanged(request, manifest.digest) ? { ...answer, reply: manifest.unchanged } : answer;
    },
    keep(request, answered, moment) {
      const { reply, handler } = answered;
      if (reply.kind !== "bytes" || reply.status !== 200 || !isPlainRead(request)) return reply;
      const manifest = handler === "manifest" ? manifestIn(answered) : undefined;
      const isKept = manifest !== undefined || ungated.has(handler);
      if (isKept && reply.body.byteLength <= mostBytesOfOne && isGood(answered, now())) {
        know(request.headers.get("authorization"));
        answers.keep(keyOf(request), { ...answered, reply: { ...reply, repeats: true }, manifest }, moment);
      }
      return manifest !== undefined && isUnchanged(request, manifest.digest) ? manifest.unchanged : reply;
    },
  };
}

const mostTokens = 256;

/**
 * Keyed hashes of credentials. A client sends its token with every request of the few minutes that the token is good
 * for, so those that were accepted are known by themselves: that takes 1 µs where the hash takes 6. A password never is.
 */
function credentialHashes() {
  const processKey = randomBytes(32).toString("base64");
  const ofTokens = new Map<string, string>();
  const hashOf = (credentials: string): string =>
    ofTokens.get(credentials) ?? hash("sha256", `${processKey} ${credentials}`, "base64");
  const know = (credentials: string | undefined): void => {
    if (credentials === undefined || !/^bearer /i.test(credentials)) return;
    if (ofTokens.size >= mostTokens) ofTokens.clear();
    ofTokens.set(credentials, hashOf(credentials));
  };
  return { hashOf, know };
}

/** Endpoints whose answers no read gate has a say in. */
const ungated: ReadonlySet<string> = new Set(["tags", "catalog", "referrers", "base"]);

function manifestIn({ repository, reply: { headers } }: Answered): KnownManifest | undefined {
  const digest = parseDigest(String(headers["docker-content-digest"]));
  if (repository === undefined || digest === undefined) return undefined;
  return { repository, digest, unchanged: { kind: "empty", status: 304, headers, repeats: true } };
}

/** Blobs are never kept: to look for one would only hash the credentials once more. */
const isPlainRead = ({ method, path }: Incoming): boolean =>
  (method === "GET" || method === "HEAD") && !path.includes("/blobs/");

/**
 * Credentials of which nobody has said how long they are good have to be shown again, and so has an address on which the
 * right depends: the answers to those without credentials are kept for everyone.
 */
function isGood({ caller: { principal, scope, goodUntil }, dependsOn }: Answered, now: number): boolean {
  if (dependsOn?.address === true || now >= (dependsOn?.until ?? Infinity)) return false;
  return goodUntil === undefined ? principal.kind === "anonymous" && scope === undefined : now < goodUntil;
}
