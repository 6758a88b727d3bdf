import { randomBytes } from "node:crypto";
import { describeBytes, digestOf, jsonBytes, mediaTypes } from "../../protocol/content.ts";
import { type Answer, type Registry, withQuery } from "../../protocol/registry-client.ts";
import { type Between, nothingYet, type RepositoryState } from "../expected-state.ts";

/** A blob that every client may mount. */
export interface Source {
  readonly repository: string;
  readonly digest: string;
}

/** Pushes, mounts, tags, deletes and reads in a repository of its own, and knows what it was told. */
export interface LoadClient {
  readonly repository: string;
  /** Goes on until the server does not answer any more, which it must not do before it is killed. */
  run(registry: Registry, isKilled: () => boolean): Promise<void>;
  between(): Between;
  /** Answers that no server may give. */
  problems(): readonly string[];
  /** How many changes were acknowledged, by kind. */
  readonly acknowledged: Map<string, number>;
}

const image = { "Content-Type": mediaTypes.image };
const oneOf = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)];

export function loadClient(repository: string, source: Source): LoadClient {
  let state: RepositoryState = nothingYet;
  /** What the running request leads to. */
  let next: RepositoryState | undefined;
  const problems: string[] = [];
  const acknowledged = new Map<string, number>();
  const bytesOf = new Map<string, Buffer>();
  const path = `/v2/${repository}`;

  /** One request that changes something, and what is sure behind its success. */
  const change = async (kind: string, after: RepositoryState, send: () => Promise<Answer>): Promise<Answer> => {
    next = after;
    const answer = await send();
    next = undefined;
    // 202 to a mount would say: send it yourself.
    if (answer.status >= 200 && answer.status < 300 && !(kind === "mount" && answer.status !== 201)) {
      state = after;
      acknowledged.set(kind, (acknowledged.get(kind) ?? 0) + 1);
    } else problems.push(`${kind}: ${String(answer.status)} ${answer.text}`);
    return answer;
  };
  const withBlob = (digest: string): RepositoryState => ({ ...state, blobs: new Set([...state.blobs, digest]) });
  const tagged = (tag: string, digest: string): RepositoryState => ({
    ...state,
    manifests: new Set([...state.manifests, digest]),
    tags: new Map([...state.tags, [tag, digest]]),
  });

  const pushBlob = async (registry: Registry, bytes: Buffer): Promise<void> => {
    const begun = await change("begin", state, () => registry.send("POST", `${path}/blobs/uploads/`, { body: "" }));
    const target = withQuery(begun.header("location") ?? "", `digest=${digestOf(bytes)}`);
    await change("push", withBlob(digestOf(bytes)), () => registry.send("PUT", target, { body: bytes }));
  };
  const putManifest = (registry: Registry, kind: string, tag: string): Promise<Answer> | undefined => {
    const digest = oneOf([...bytesOf.keys()]);
    const body = digest === undefined ? undefined : bytesOf.get(digest);
    if (digest === undefined || body === undefined) return undefined;
    return change(kind, tagged(tag, digest), () =>
      registry.send("PUT", `${path}/manifests/${tag}`, { headers: image, body }),
    );
  };

  const actions: readonly ((registry: Registry) => Promise<unknown> | undefined)[] = [
    async (registry) => {
      const [config, layer] = [randomBytes(200), randomBytes(1000 + Math.floor(Math.random() * 200_000))];
      await pushBlob(registry, config);
      await pushBlob(registry, layer);
      const bytes = jsonBytes({
        schemaVersion: 2,
        mediaType: mediaTypes.image,
        config: describeBytes(mediaTypes.config, config),
        layers: [describeBytes(mediaTypes.layer, layer)],
      });
      bytesOf.set(digestOf(bytes), bytes);
      const tag = `v${String(Math.floor(Math.random() * 3))}`;
      await change("image", tagged(tag, digestOf(bytes)), () =>
        registry.send("PUT", `${path}/manifests/${tag}`, { headers: image, body: bytes }),
      );
    },
    (registry) => putManifest(registry, "tag", "moving"),
    (registry) => putManifest(registry, "tag", `t${String(Math.floor(Math.random() * 5))}`),
    (registry) =>
      change("mount", withBlob(source.digest), () =>
        registry.send("POST", `${path}/blobs/uploads/?mount=${source.digest}&from=${source.repository}`, { body: "" }),
      ),
    (registry) => {
      const tag = oneOf([...state.tags.keys()]);
      if (tag === undefined) return undefined;
      const after = { ...state, tags: new Map([...state.tags].filter(([name]) => name !== tag)) };
      return change("untag", after, () => registry.send("DELETE", `${path}/manifests/${tag}`));
    },
    (registry) => {
      const digest = oneOf([...state.manifests]);
      if (digest === undefined || state.manifests.size < 2) return undefined;
      bytesOf.delete(digest);
      const after = {
        ...state,
        manifests: state.manifests.difference(new Set([digest])),
        tags: new Map([...state.tags].filter(([, named]) => named !== digest)),
      };
      return change("delete", after, () => registry.send("DELETE", `${path}/manifests/${digest}`));
    },
    (registry) => {
      if (!state.blobs.has(source.digest)) return undefined;
      const after = { ...state, blobs: state.blobs.difference(new Set([source.digest])) };
      return change("remove", after, () => registry.send("DELETE", `${path}/blobs/${source.digest}`));
    },
    async (registry) => {
      const digest = oneOf([...state.blobs]);
      if (digest === undefined) return;
      const { status, bytes } = await registry.send("GET", `${path}/blobs/${digest}`);
      const found = status === 200 ? digestOf(bytes) : String(status);
      if (found !== digest) problems.push(`read ${digest}: ${found}`);
    },
  ];

  return {
    repository,
    acknowledged,
    between: () => ({ before: state, after: next ?? state }),
    problems: () => problems,
    async run(registry, isKilled) {
      try {
        while (problems.length === 0) await oneOf(actions)?.(registry);
      } catch (error) {
        if (!isKilled()) problems.push(error instanceof Error ? error.message : String(error));
      }
    },
  };
}
