import { hash, randomBytes } from "node:crypto";
import type { DependsOn } from "../../access/decide.ts";
import type { Caller } from "../../access/principal.ts";
import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { untilCommit } from "../../platform/database/until-commit.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { checkReadGates, type Registry } from "../../registry/registry.ts";

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
  /** Of a manifest, which read gates may be closed to; lists have none. */
  readonly manifest: { readonly repository: RepositoryName; readonly digest: Digest } | undefined;
}

export interface RememberedAnswers {
  /** @throws RegistryError a read gate's problem */
  find(request: Incoming): Pick<Answer, "reply" | "caller" | "handler"> | undefined;
  /** To be asked for before anything is read for an answer. */
  moment(): number | undefined;
  /** Keeps what may be given again. */
  keep(request: Incoming, answered: Answered, moment: number | undefined): void;
}

const mostBytes = 16 * 1024 * 1024;
const mostBytesOfOne = 256 * 1024;
/** What an answer takes beside its bytes. */
const overheadBytes = 1024;

/**
 * A manifest, or a page of a list, is a function of path and query, of who asks, and of the database, and the same ones
 * are asked for again and again. An answer is given again while nobody has committed anything since it was made, and the
 * credentials that it was made for are good: 16 µs of the processor instead of 45 for a manifest, and a seventh for a page
 * of 100 tags. What credentials came with is no key of the memory: a keyed hash of them is.
 */
export function rememberAnswers(registry: Registry, now = Date.now): RememberedAnswers {
  const answers = untilCommit<Answer>(registry.database, {
    mostBytes,
    bytesOf: ({ reply }, key) => reply.body.byteLength + key.length + overheadBytes,
  });
  const processKey = randomBytes(32).toString("base64");
  const keyOf = ({ path, queryText, headers, remoteAddress }: Incoming): string => {
    const asked = queryText === "" ? path : `${path}?${queryText}`;
    const credentials = headers.get("authorization");
    if (credentials === undefined) return asked;
    // How often an address has guessed wrong decides on right passwords too.
    return `${hash("sha256", `${processKey} ${remoteAddress} ${credentials}`, "base64")} ${asked}`;
  };
  return {
    moment: answers.moment,
    find(request) {
      if (!isPlainRead(request)) return undefined;
      const answer = answers.get(keyOf(request));
      if (answer === undefined || !isGood(answer, now())) return undefined;
      if (answer.manifest !== undefined) checkReadGates(registry, answer.manifest.repository, answer.manifest.digest);
      return answer;
    },
    keep(request, answered, moment) {
      const { reply, handler } = answered;
      if (reply.kind !== "bytes" || reply.status !== 200 || !isPlainRead(request) || !isGood(answered, now())) return;
      const manifest = handler === "manifest" ? manifestIn(answered) : undefined;
      if ((manifest === undefined && !lists.has(handler)) || reply.body.byteLength > mostBytesOfOne) return;
      answers.keep(keyOf(request), { ...answered, reply: { ...reply, repeats: true }, manifest }, moment);
    },
  };
}

const lists: ReadonlySet<string> = new Set(["tags", "catalog", "referrers"]);

function manifestIn({ repository, reply }: Answered): Answer["manifest"] {
  const digest = parseDigest(String(reply.headers["docker-content-digest"]));
  return repository && digest && { repository, digest };
}

/** Blobs are never kept: to look for one would only hash the credentials once more. */
const isPlainRead = ({ method, path, headers }: Incoming): boolean =>
  (method === "GET" || method === "HEAD") && !path.includes("/blobs/") && !headers.has("if-none-match");

/**
 * Credentials of which nobody has said how long they are good have to be shown again, and so has an address on which the
 * right depends: the answers to those without credentials are kept for everyone.
 */
function isGood({ caller: { principal, scope, goodUntil }, dependsOn }: Answered, now: number): boolean {
  if (dependsOn?.address === true || now >= (dependsOn?.until ?? Infinity)) return false;
  return goodUntil === undefined ? principal.kind === "anonymous" && scope === undefined : now < goodUntil;
}
