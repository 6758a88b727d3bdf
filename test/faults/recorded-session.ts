import { randomBytes } from "node:crypto";
import { describeBytes, digestOf, jsonBytes, mediaTypes } from "../protocol/content.ts";
import { type Registry, withQuery } from "../protocol/registry-client.ts";
import { nothingYet, type RepositoryState } from "./expected-state.ts";

/** One request of a session, and what a client knows once it has the answer. */
export interface Told {
  readonly request: string;
  readonly status: number;
  readonly after: RepositoryState;
}

/**
 * Pushes a blob in pieces and two images of it, moves a tag from one to the other, deletes a blob, a tag and a manifest:
 * one request after the other, each with what it makes sure.
 */
export async function runSession(registry: Registry, repository: string): Promise<readonly Told[]> {
  const told: Told[] = [];
  let state = nothingYet;
  const send = async (method: string, target: string, call: Parameters<Registry["send"]>[2] = {}): Promise<string> => {
    const answer = await registry.send(method, `/v2/${repository}/${target}`, call);
    told.push({ request: `${method} ${target.slice(0, 60)}`, status: answer.status, after: state });
    if (answer.status >= 300) throw new Error(`${method} ${target}: ${String(answer.status)} ${answer.text}`);
    return (answer.header("location") ?? "").replace(`/v2/${repository}/`, "");
  };
  const makeSure = (change: Partial<RepositoryState>): void => {
    state = { ...state, ...change };
    const last = told.pop();
    if (last !== undefined) told.push({ ...last, after: state });
  };

  const pushBlob = async (bytes: Buffer): Promise<void> => {
    const location = await send("POST", "blobs/uploads/", { body: "" });
    // One in pieces: what was acknowledged of it has to be there for the end.
    const half = Math.floor(bytes.length / 2);
    const next = await send("PATCH", location, { body: bytes.subarray(0, half) });
    await send("PUT", withQuery(next, `digest=${digestOf(bytes)}`), { body: bytes.subarray(half) });
    makeSure({ blobs: new Set([...state.blobs, digestOf(bytes)]) });
  };
  const putManifest = async (tag: string, body: Buffer): Promise<void> => {
    await send("PUT", `manifests/${tag}`, { headers: { "Content-Type": mediaTypes.image }, body });
    const manifests = new Set([...state.manifests, digestOf(body)]);
    makeSure({ manifests, tags: new Map([...state.tags, [tag, digestOf(body)]]) });
  };
  const withoutTags = (isGone: (tag: string, digest: string) => boolean): ReadonlyMap<string, string> =>
    new Map([...state.tags].filter(([tag, digest]) => !isGone(tag, digest)));

  const config = randomBytes(40_000);
  await pushBlob(config);
  const [one, two] = ["one", "two"].map((name) => imageOf(config, name)) as [Buffer, Buffer];
  await putManifest("v1", one);
  await putManifest("v2", two);
  await putManifest("v1", two);
  const spare = randomBytes(5000);
  await pushBlob(spare);
  await send("DELETE", `blobs/${digestOf(spare)}`);
  makeSure({ blobs: without(state.blobs, digestOf(spare)) });
  await send("DELETE", "manifests/v2");
  makeSure({ tags: withoutTags((tag) => tag === "v2") });
  await send("DELETE", `manifests/${digestOf(two)}`);
  makeSure({
    manifests: without(state.manifests, digestOf(two)),
    tags: withoutTags((_, digest) => digest === digestOf(two)),
  });
  return told;
}

const without = (set: ReadonlySet<string>, value: string): ReadonlySet<string> => set.difference(new Set([value]));

const imageOf = (config: Buffer, name: string): Buffer =>
  jsonBytes({
    schemaVersion: 2,
    mediaType: mediaTypes.image,
    config: describeBytes(mediaTypes.config, config),
    layers: [],
    annotations: { name },
  });
