import { randomBytes } from "node:crypto";
import { describeBytes, digestOf, jsonBytes, mediaTypes } from "../protocol/content.ts";
import { type Registry, withQuery } from "../protocol/registry-client.ts";
import { nothingYet, type OpenUpload, type RepositoryState } from "./expected-state.ts";

/** One request of a session, and what a client knows once it has the answer. */
export interface Told {
  readonly request: string;
  readonly bodyBytes: number;
  readonly status: number;
  readonly after: RepositoryState;
}

type Send = (method: string, target: string, call?: Parameters<Registry["send"]>[2]) => Promise<string>;

interface Session {
  readonly send: Send;
  readonly state: () => RepositoryState;
  /** What the last answer made sure. */
  makeSure(change: Partial<RepositoryState>): void;
}

/**
 * Pushes blobs in every style and two images of them, moves a tag from one to the other, mounts, cancels, deletes a
 * blob, a tag and a manifest, and leaves an upload open: one request after the other, each with what it makes sure.
 */
export async function runSession(registry: Registry, repository: string): Promise<readonly Told[]> {
  const told: Told[] = [];
  let state = nothingYet;
  const session: Session = {
    state: () => state,
    async send(method, target, call = {}) {
      const path = target.startsWith("/") ? target : `/v2/${repository}/${target}`;
      const answer = await registry.send(method, path, call);
      const bodyBytes = call.body instanceof Uint8Array ? call.body.length : 0;
      told.push({ request: nameOf(method, path), bodyBytes, status: answer.status, after: state });
      if (answer.status >= 300) throw new Error(`${method} ${target}: ${String(answer.status)} ${answer.text}`);
      return answer.header("location") ?? "";
    },
    makeSure(change) {
      state = { ...state, ...change };
      const last = told.pop();
      if (last !== undefined) told.push({ ...last, after: state });
    },
  };
  const shared = randomBytes(3000);
  const elsewhere = `${repository}-source`;
  await session.send("POST", `/v2/${elsewhere}/blobs/uploads/?digest=${digestOf(shared)}`, { body: shared });
  const config = randomBytes(40_000);
  await pushInPieces(session, config);
  await pushAsDocker(session, randomBytes(9000));
  await pushWhole(session, randomBytes(6000));
  await session.send("POST", `blobs/uploads/?mount=${digestOf(shared)}&from=${elsewhere}`, { body: "" });
  session.makeSure({ blobs: withValue(state.blobs, digestOf(shared)) });
  await pushManifests(session, config);
  await deleteThings(session, randomBytes(5000));
  await leaveOpen(session);
  return told;
}

/** Without what is random about it. */
const nameOf = (method: string, path: string): string =>
  `${method} ${path
    .replace(/^\/v2\/[^/]+\/[^/]+\//, "")
    .replace(/uploads\/[0-9a-f-]+/, "uploads/ID")
    .replaceAll(/sha256:[0-9a-f]+/g, "DIGEST")
    .replace(/\?digest.*$/, "?digest")
    .replace(/\?mount.*$/, "?mount")}`;

const withValue = (set: ReadonlySet<string>, value: string): ReadonlySet<string> => new Set([...set, value]);
const without = (set: ReadonlySet<string>, value: string): ReadonlySet<string> => set.difference(new Set([value]));
const withUpload = (
  { uploads }: RepositoryState,
  path: string,
  upload: OpenUpload,
): Pick<RepositoryState, "uploads"> => ({ uploads: new Map([...uploads, [path, upload]]) });
const withoutUpload = ({ uploads }: RepositoryState, path: string): Pick<RepositoryState, "uploads"> => ({
  uploads: new Map([...uploads].filter(([own]) => own !== path)),
});

async function begin({ send, state, makeSure }: Session, content: Buffer): Promise<string> {
  const location = await send("POST", "blobs/uploads/", { body: "" });
  makeSure(withUpload(state(), location, { content, toldBytes: 0 }));
  return location;
}

async function patch({ send, state, makeSure }: Session, location: string, toldBytes: number): Promise<string> {
  const content = state().uploads.get(location)?.content ?? Buffer.alloc(0);
  const next = await send("PATCH", location, { body: content.subarray(0, toldBytes) });
  makeSure(withUpload(state(), location, { content, toldBytes }));
  return next;
}

async function finish({ send, state, makeSure }: Session, location: string, from: number): Promise<void> {
  const content = state().uploads.get(location)?.content ?? Buffer.alloc(0);
  await send("PUT", withQuery(location, `digest=${digestOf(content)}`), { body: content.subarray(from) });
  makeSure({ ...withoutUpload(state(), location), blobs: withValue(state().blobs, digestOf(content)) });
}

/** What was acknowledged of it has to be there for the end. */
async function pushInPieces(session: Session, bytes: Buffer): Promise<void> {
  const half = Math.floor(bytes.length / 2);
  await finish(session, await patch(session, await begin(session, bytes), half), half);
}

async function pushAsDocker(session: Session, bytes: Buffer): Promise<void> {
  await finish(session, await patch(session, await begin(session, bytes), bytes.length), bytes.length);
}

async function pushWhole(session: Session, bytes: Buffer): Promise<void> {
  await finish(session, await begin(session, bytes), 0);
}

async function pushManifests({ send, state, makeSure }: Session, config: Buffer): Promise<void> {
  const putManifest = async (tag: string, name: string): Promise<void> => {
    const body = imageOf(config, name);
    await send("PUT", `manifests/${tag}`, { headers: { "Content-Type": mediaTypes.image }, body });
    makeSure({
      manifests: withValue(state().manifests, digestOf(body)),
      tags: new Map([...state().tags, [tag, digestOf(body)]]),
    });
  };
  await putManifest("v1", "one");
  await putManifest("v2", "two");
  await putManifest("v1", "two");
}

async function deleteThings(session: Session, spare: Buffer): Promise<void> {
  const { send, state, makeSure } = session;
  const withoutTags = (isGone: (tag: string, digest: string) => boolean): ReadonlyMap<string, string> =>
    new Map([...state().tags].filter(([tag, digest]) => !isGone(tag, digest)));
  await pushWhole(session, spare);
  await send("DELETE", `blobs/${digestOf(spare)}`);
  makeSure({ blobs: without(state().blobs, digestOf(spare)) });
  await send("DELETE", "manifests/v2");
  makeSure({ tags: withoutTags((tag) => tag === "v2") });
  const two = state().tags.get("v1") ?? "";
  await send("DELETE", `manifests/${two}`);
  makeSure({ manifests: without(state().manifests, two), tags: withoutTags((_, digest) => digest === two) });
}

async function leaveOpen(session: Session): Promise<void> {
  const cancelled = await patch(session, await begin(session, randomBytes(4000)), 4000);
  await session.send("DELETE", cancelled);
  session.makeSure(withoutUpload(session.state(), cancelled));
  await patch(session, await begin(session, randomBytes(20_000)), 15_000);
}

const imageOf = (config: Buffer, name: string): Buffer =>
  jsonBytes({
    schemaVersion: 2,
    mediaType: mediaTypes.image,
    config: describeBytes(mediaTypes.config, config),
    layers: [],
    annotations: { name },
  });
