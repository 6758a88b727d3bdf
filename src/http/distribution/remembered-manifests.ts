import { hash, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Caller } from "../../access/principal.ts";
import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { checkReadGates, type Registry } from "../../registry/registry.ts";

/** What a request for a manifest was answered with, and all that decided on it. */
interface Answered {
  readonly reply: Reply;
  readonly caller: Caller;
  readonly repository: RepositoryName;
  /** The database's, asked for before anything was read for this answer. */
  readonly revision: number;
}

interface Answer extends Answered {
  readonly reply: Reply & { readonly kind: "bytes" };
  readonly digest: Digest;
}

export interface RememberedManifests {
  /** @throws RegistryError a read gate's problem */
  find(request: Incoming): Pick<Answer, "reply" | "caller"> | undefined;
  /** Keeps what may be given again. */
  keep(request: Incoming, answered: Answered): void;
}

const mostBytes = 16 * 1024 * 1024;
const mostBytesOfOne = 256 * 1024;
/** What an answer takes beside its manifest. */
const overheadBytes = 1024;

/**
 * The pull of a manifest is a function of its path, of who asks, and of the database, and the same ones are asked for
 * again and again. An answer is given again while nobody has committed anything since it was made, and the credentials
 * that it was made for are good: 16 µs of the processor instead of 45. What credentials came with is no key of the
 * memory: a keyed hash of them is.
 */
export function rememberManifests(registry: Registry, now = Date.now): RememberedManifests {
  const answers = new LRUCache<string, Answer>({
    maxSize: mostBytes,
    maxEntrySize: mostBytesOfOne,
    sizeCalculation: ({ reply }, key) => reply.body.byteLength + key.length + overheadBytes,
  });
  const processKey = randomBytes(32).toString("base64");
  const keyOf = ({ path, headers, remoteAddress }: Incoming): string => {
    const credentials = headers.get("authorization");
    if (credentials === undefined) return path;
    // How often an address has guessed wrong decides on right passwords too.
    return `${hash("sha256", `${processKey} ${remoteAddress} ${credentials}`, "base64")} ${path}`;
  };
  return {
    find(request) {
      if (!isPlainRead(request)) return undefined;
      const key = keyOf(request);
      const answer = answers.get(key);
      if (answer === undefined) return undefined;
      if (answer.revision !== registry.database.revision?.() || !isGood(answer.caller, now())) {
        answers.delete(key);
        return undefined;
      }
      checkReadGates(registry, answer.repository, answer.digest);
      return answer;
    },
    keep(request, answered) {
      const { reply, caller } = answered;
      const digest = parseDigest(String(reply.headers["docker-content-digest"]));
      const isWhole = reply.kind === "bytes" && reply.status === 200 && digest !== undefined;
      if (!isWhole || !isPlainRead(request) || !isGood(caller, now())) return;
      answers.set(keyOf(request), { ...answered, reply: { ...reply, repeats: true }, digest });
    },
  };
}

const isPlainRead = ({ method, headers }: Incoming): boolean =>
  (method === "GET" || method === "HEAD") && !headers.has("if-none-match");

/** Credentials of which nobody has said how long they are good have to be shown again. */
const isGood = ({ principal, scope, goodUntil }: Caller, now: number): boolean =>
  goodUntil === undefined ? principal.kind === "anonymous" && scope === undefined : now < goodUntil;
