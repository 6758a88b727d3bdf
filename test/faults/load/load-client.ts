import type { Answer, Registry } from "../../protocol/registry-client.ts";
import { digestOf } from "../../protocol/content.ts";
import { type Between, nothingYet, type RepositoryState } from "../expected-state.ts";
import { type Load, oneOf, type Source } from "./load-action.ts";
import { changes } from "./load-changes.ts";
import { reads } from "./load-reads.ts";

/** Pushes, mounts, tags, deletes and reads in a repository of its own, and knows what it was told. */
export interface LoadClient {
  readonly repository: string;
  /** Goes on until it is over, or the server does not answer any more, which it must not do before it is killed. */
  run(registry: Registry, isKilled: () => boolean, isOver?: () => boolean): Promise<void>;
  between(): Between;
  /** Its uploads are somebody else's from here on. */
  forgetUploads(): void;
  /** What lists say beside what is there, once nothing runs any more. */
  judgeLists(registry: Registry): Promise<readonly string[]>;
  /** Answers that no server may give. */
  problems(): readonly string[];
  /** How many changes were acknowledged, by kind. */
  readonly acknowledged: Map<string, number>;
}

const refusedForNow = new Set([429, 502, 503, 507]);

export interface LoadOptions {
  /** Whether the server may say "later": then whatever was asked may have been done or not. */
  readonly mayRefuse?: boolean;
}

export function loadClient(repository: string, source: Source, { mayRefuse = false }: LoadOptions = {}): LoadClient {
  let state: RepositoryState = nothingYet;
  /** What the running request leads to. */
  let next: RepositoryState | undefined;
  const problems: string[] = [];
  const acknowledged = new Map<string, number>();
  const load: Load = {
    repository,
    source,
    path: `/v2/${repository}`,
    state: () => state,
    images: new Map(),
    subjects: new Map(),
    async change(kind, after, send) {
      next = after;
      const answer = await send();
      next = undefined;
      // 202 to a mount would say: send it yourself.
      if (answer.status >= 200 && answer.status < 300 && !(kind === "mount" && answer.status !== 201)) {
        state = after;
        acknowledged.set(kind, (acknowledged.get(kind) ?? 0) + 1);
      } else problems.push(`${kind}: ${String(answer.status)} ${answer.text}`);
      return answer;
    },
    learn: (learned) => void (state = learned),
    complain: (problem) => void problems.push(problem),
  };
  const actions = [...changes, ...reads];
  return {
    repository,
    acknowledged,
    between: () => ({ before: state, after: next ?? state }),
    forgetUploads() {
      state = { ...state, uploads: new Map() };
      next &&= { ...next, uploads: new Map() };
    },
    judgeLists: (registry) => judgeReferrers(load, registry),
    problems: () => problems,
    async run(registry, isKilled, isOver = () => false) {
      const asked = mayRefuse ? heedingRefusals(registry) : registry;
      try {
        while (problems.length === 0 && !isOver()) await oneOf(actions)?.(load, asked);
      } catch (error) {
        if (!isKilled() && !(error instanceof RefusedForNow)) {
          problems.push(error instanceof Error ? error.message : String(error));
        }
      }
    },
  };
}

/** Somebody has to read what became of a refused request: its client is at its end. */
const heedingRefusals = (registry: Registry): Registry => ({
  ...registry,
  async send(...call) {
    const answer = await registry.send(...call);
    if (refusedForNow.has(answer.status)) throw new RefusedForNow(answer);
    return answer;
  },
});

class RefusedForNow extends Error {
  override readonly name = "RefusedForNow";
  constructor({ status, text }: Answer) {
    super(`${String(status)} ${text}`);
  }
}

/** The list of a subject names the artifacts that are there, and no others. */
async function judgeReferrers({ path, subjects }: Load, registry: Registry): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const [subject, artifacts] of Map.groupBy(subjects.keys(), (artifact) => subjects.get(artifact) ?? "")) {
    const list = await registry.send("GET", `${path}/referrers/${subject}`);
    if (list.status !== 200) {
      problems.push(`the referrers of ${subject}: ${String(list.status)}`);
      continue;
    }
    const { manifests } = list.json() as { manifests: readonly { digest: string }[] };
    const listed = manifests.map(({ digest }) => digest).toSorted();
    const there: string[] = [];
    for (const artifact of artifacts) {
      const { status, bytes } = await registry.send("GET", `${path}/manifests/${artifact}`);
      if (status === 200 && digestOf(bytes) === artifact) there.push(artifact);
    }
    if (listed.join() !== there.toSorted().join()) {
      problems.push(`the referrers of ${subject} are ${there.join()}, and the list says ${listed.join()}`);
    }
  }
  return problems;
}
