import { digestOf, type Descriptor } from "../protocol/content.ts";
import type { Answer, Registry } from "../protocol/registry-client.ts";

/** What a repository holds, as its clients were told. */
export interface RepositoryState {
  readonly blobs: ReadonlySet<string>;
  readonly manifests: ReadonlySet<string>;
  readonly tags: ReadonlyMap<string, string>;
}

export const nothingYet: RepositoryState = { blobs: new Set(), manifests: new Set(), tags: new Map() };

/** Around one request: what was sure before it, and what its answer makes sure. Without the answer, either is right. */
export interface Between {
  readonly before: RepositoryState;
  readonly after: RepositoryState;
}

/** Everything that is not as it was acknowledged, or of which a reader sees a part; empty when all is well. */
export async function judgeRepository(
  registry: Registry,
  repository: string,
  { before, after }: Between,
): Promise<readonly string[]> {
  const problems: string[] = [];
  const get = (what: string): Promise<Answer> => registry.send("GET", `/v2/${repository}/${what}`);
  const expectContent = async (kind: "blobs" | "manifests"): Promise<void> => {
    for (const digest of before[kind].union(after[kind])) {
      const { status, bytes } = await get(`${kind}/${digest}`);
      const isSure = before[kind].has(digest) && after[kind].has(digest);
      if (status === 200 && digestOf(bytes) !== digest) problems.push(`${kind} ${digest}: other bytes`);
      if (status !== 200 && (isSure || status !== 404)) problems.push(`${kind} ${digest}: ${String(status)}`);
    }
  };
  await expectContent("blobs");
  await expectContent("manifests");
  for (const tag of new Set([...before.tags.keys(), ...after.tags.keys()])) {
    const answer = await get(`manifests/${tag}`);
    const found = answer.status === 200 ? digestOf(answer.bytes) : undefined;
    const allowed = [before.tags.get(tag), after.tags.get(tag)];
    if (!allowed.includes(found)) problems.push(`tag ${tag}: ${String(answer.status)} ${found ?? ""}`);
  }
  return [...problems, ...(await judgeTags(registry, repository))];
}

/** Every tag leads to a whole image, wherever it came from. */
async function judgeTags(registry: Registry, repository: string): Promise<readonly string[]> {
  const problems: string[] = [];
  const list = await registry.send("GET", `/v2/${repository}/tags/list`);
  if (list.status === 404) return [];
  const { tags } = list.json() as { tags: readonly string[] };
  for (const tag of tags) {
    const manifest = await registry.send("GET", `/v2/${repository}/manifests/${tag}`);
    if (manifest.status !== 200) {
      problems.push(`the tag ${tag} dangles: ${String(manifest.status)}`);
      continue;
    }
    const { config, layers } = manifest.json() as { config: Descriptor; layers: readonly Descriptor[] };
    for (const { digest } of [config, ...layers]) {
      const blob = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
      const is = blob.status === 200 ? digestOf(blob.bytes) : String(blob.status);
      if (is !== digest) problems.push(`the image of tag ${tag} has ${is} for ${digest}`);
    }
  }
  return problems;
}
