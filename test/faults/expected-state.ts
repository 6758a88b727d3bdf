import { digestOf, type Descriptor } from "../protocol/content.ts";
import { type Answer, type Registry, withQuery } from "../protocol/registry-client.ts";

/** An upload that goes on: what it shall become, and how much of it was acknowledged. */
export interface OpenUpload {
  readonly content: Buffer;
  readonly toldBytes: number;
}

/** What a repository holds, as its clients were told. */
export interface RepositoryState {
  readonly blobs: ReadonlySet<string>;
  readonly manifests: ReadonlySet<string>;
  readonly tags: ReadonlyMap<string, string>;
  /** By their path. */
  readonly uploads: ReadonlyMap<string, OpenUpload>;
}

export const nothingYet: RepositoryState = {
  blobs: new Set(),
  manifests: new Set(),
  tags: new Map(),
  uploads: new Map(),
};

/** Around one request: what was sure before it, and what its answer makes sure. Without the answer, either is right. */
export interface Between {
  readonly before: RepositoryState;
  readonly after: RepositoryState;
}

/**
 * What went away: the server's process, or the power, which may take of an open upload what was not yet durable; or the
 * database alone, which takes the same from a server that runs on.
 */
export type Lost = "process" | "power" | "database";

/** Everything that is not as it was acknowledged, or of which a reader sees a part; empty when all is well. */
export async function judgeRepository(
  registry: Registry,
  repository: string,
  { before, after, lost = "process" }: Between & { readonly lost?: Lost },
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
  problems.push(...(await judgeTags(registry, repository)));
  for (const path of new Set([...before.uploads.keys(), ...after.uploads.keys()])) {
    const [own, next] = [before.uploads.get(path), after.uploads.get(path)];
    const isCancelled = next === undefined && after.blobs.size === before.blobs.size;
    problems.push(...(await judgeUpload(registry, repository, { path, before: own, after: next, lost, isCancelled })));
  }
  return problems;
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

interface UploadBetween {
  readonly path: string;
  readonly before: OpenUpload | undefined;
  readonly after: OpenUpload | undefined;
  readonly lost: Lost;
  /** Whether the request in between was to end it; else it was to make a blob of it. */
  readonly isCancelled: boolean;
}

const heldByAnother = "another request is writing";

/** Asks where the upload stands, goes on from there, and reads the blob that it becomes. */
async function judgeUpload(
  registry: Registry,
  repository: string,
  { path, before, after, lost, isCancelled }: UploadBetween,
): Promise<readonly string[]> {
  const { content } = before ?? after ?? { content: Buffer.alloc(0) };
  const told = Math.max(before?.toldBytes ?? 0, after?.toldBytes ?? 0);
  const digest = digestOf(content);
  const where = await registry.send("GET", path);
  if (where.status === 404) {
    if (before === undefined || lost !== "process" || isCancelled) return [];
    const made = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
    if (after === undefined && made.status === 200 && digestOf(made.bytes) === digest) return [];
    return [`an upload of which ${String(told)} bytes were acknowledged is gone, and is no blob`];
  }
  const [, end] = /^0-(\d+)$/.exec(where.header("range") ?? "") ?? [];
  const offset = end === undefined ? 0 : Number(end) + 1;
  if (where.status !== 204) return [`an upload is answered ${String(where.status)} ${where.text}`];
  const least = Math.min(before?.toldBytes ?? 0, after?.toldBytes ?? Number.POSITIVE_INFINITY);
  if (offset > content.length || (lost === "process" && offset < least)) {
    return [`an upload stands at ${String(offset)} where ${String(least)} bytes were acknowledged`];
  }
  const patch = await registry.send("PATCH", path, {
    headers: { "Content-Range": `${String(offset)}-${String(content.length - 1)}` },
    body: content.subarray(offset),
  });
  // Whose end the crash took with it has the upload until its hold runs out.
  if (lost === "database" && patch.status === 416 && patch.text.includes(heldByAnother)) return [];
  if (offset < content.length && patch.status !== 202) {
    return [`an upload that stands at ${String(offset)} does not go on there: ${String(patch.status)} ${patch.text}`];
  }
  const finish = () => registry.send("PUT", withQuery(path, `digest=${digest}`), { body: "" });
  let put = await finish();
  // Where the crash took an earlier end with it, the server gives the upload back as soon as the database answers.
  const isHeld = (): boolean => lost === "database" && put.status === 416 && put.text.includes(heldByAnother);
  for (const deadline = Date.now() + 40_000; isHeld() && Date.now() < deadline; await Bun.sleep(100))
    put = await finish();
  const blob = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
  if (put.status === 201 && blob.status === 200 && digestOf(blob.bytes) === digest) return [];
  return [`an upload that went on at ${String(offset)} ends with ${String(put.status)} and ${String(blob.status)}`];
}
