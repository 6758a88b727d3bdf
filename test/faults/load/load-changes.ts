import { randomBytes } from "node:crypto";
import { describeBytes, type Descriptor, digestOf, jsonBytes, mediaTypes } from "../../protocol/content.ts";
import { type Answer, type Registry, withQuery } from "../../protocol/registry-client.ts";
import type { OpenUpload, RepositoryState } from "../expected-state.ts";
import { type Action, type Load, oneOf } from "./load-action.ts";

const mostOpenUploads = 3;
const image = { "Content-Type": mediaTypes.image };

const randomLayer = (): Buffer => randomBytes(1000 + Math.floor(Math.random() * 200_000));
const withBlob = (state: RepositoryState, digest: string): RepositoryState => ({
  ...state,
  blobs: new Set([...state.blobs, digest]),
});
const tagged = (state: RepositoryState, tags: readonly string[], digest: string): RepositoryState => ({
  ...state,
  manifests: new Set([...state.manifests, digest]),
  tags: new Map([...state.tags, ...tags.map((tag): [string, string] => [tag, digest])]),
});
const withUpload = (state: RepositoryState, path: string, open: OpenUpload): RepositoryState => ({
  ...state,
  uploads: new Map([...state.uploads, [path, open]]),
});
const withoutUpload = (state: RepositoryState, path: string): RepositoryState => ({
  ...state,
  uploads: new Map([...state.uploads].filter(([own]) => own !== path)),
});

async function begin({ path, state, change, learn }: Load, registry: Registry, content: Buffer): Promise<string> {
  // Where it goes on is not known before the answer, so a kill in between leaves one that nobody asks for.
  const begun = await change("begin", state(), () => registry.send("POST", `${path}/blobs/uploads/`, { body: "" }));
  const location = begun.header("location") ?? "";
  if (begun.status === 202) learn(withUpload(state(), location, { content, toldBytes: 0 }));
  return location;
}

interface Part {
  readonly location: string;
  /** Up to where, from what was acknowledged. */
  readonly end: number;
}

async function patch({ state, change }: Load, registry: Registry, { location, end }: Part): Promise<void> {
  const upload = state().uploads.get(location);
  if (upload === undefined) return;
  const { content, toldBytes } = upload;
  const body = content.subarray(toldBytes, end);
  const headers = { "Content-Range": `${String(toldBytes)}-${String(end - 1)}` };
  await change("patch", withUpload(state(), location, { content, toldBytes: end }), () =>
    registry.send("PATCH", location, { headers, body }),
  );
}

async function finish({ state, change }: Load, registry: Registry, location: string): Promise<void> {
  const upload = state().uploads.get(location);
  if (upload === undefined) return;
  const digest = digestOf(upload.content);
  await change("push", withBlob(withoutUpload(state(), location), digest), () =>
    registry.send("PUT", withQuery(location, `digest=${digest}`), { body: upload.content.subarray(upload.toldBytes) }),
  );
}

type PushBlob = (load: Load, registry: Registry, bytes: Buffer) => Promise<unknown>;

/** As docker, as containerd and many libraries, and as crane and others do it. */
const pushStyles: readonly PushBlob[] = [
  async (load, registry, bytes) => {
    const location = await begin(load, registry, bytes);
    await patch(load, registry, { location, end: bytes.length });
    await finish(load, registry, location);
  },
  async (load, registry, bytes) => finish(load, registry, await begin(load, registry, bytes)),
  ({ path, state, change }, registry, bytes) =>
    change("push", withBlob(state(), digestOf(bytes)), () =>
      registry.send("POST", `${path}/blobs/uploads/?digest=${digestOf(bytes)}`, { body: bytes }),
    ),
];

async function pushImage(load: Load, registry: Registry): Promise<void> {
  const [config, layer] = [randomBytes(200), randomLayer()];
  for (const bytes of [config, layer]) await oneOf(pushStyles)?.(load, registry, bytes);
  const bytes = imageOf(config, [describeBytes(mediaTypes.layer, layer)], {});
  load.images.set(digestOf(bytes), bytes);
  await putManifest(load, registry, { kind: "image", tags: [`v${String(Math.floor(Math.random() * 3))}`], bytes });
}

const imageOf = (config: Buffer, layers: readonly Descriptor[], fields: Readonly<Record<string, unknown>>): Buffer =>
  jsonBytes({
    schemaVersion: 2,
    mediaType: mediaTypes.image,
    config: describeBytes(mediaTypes.config, config),
    layers,
    ...fields,
  });

interface ManifestPut {
  readonly kind: string;
  readonly tags: readonly string[];
  readonly bytes: Buffer;
}

function putManifest({ path, state, change }: Load, registry: Registry, put: ManifestPut): Promise<Answer> {
  const { kind, tags, bytes } = put;
  const digest = digestOf(bytes);
  const query = tags.map((tag) => `tag=${tag}`).join("&");
  const target = tags.length === 1 ? (tags[0] ?? "") : `${digest}${query === "" ? "" : `?${query}`}`;
  return change(kind, tagged(state(), tags, digest), () =>
    registry.send("PUT", `${path}/manifests/${target}`, { headers: image, body: bytes }),
  );
}

/** A known image under these tags. */
const putAgain =
  (kind: string, tags: () => readonly string[]): Action =>
  (load, registry) => {
    const bytes = oneOf([...load.images.values()]);
    return bytes === undefined ? undefined : putManifest(load, registry, { kind, tags: tags(), bytes });
  };

async function attach(load: Load, registry: Registry): Promise<void> {
  const subject = oneOf([...load.images]);
  if (subject === undefined) return;
  const config = randomBytes(50);
  await oneOf(pushStyles)?.(load, registry, config);
  const [digest, bytes] = subject;
  const named = { mediaType: mediaTypes.image, digest, size: bytes.length };
  const artifact = imageOf(config, [], { subject: named, artifactType: "application/example" });
  // Known before it is there: what a kill leaves of it has to be in the list or not there at all.
  load.subjects.set(digestOf(artifact), digest);
  await putManifest(load, registry, { kind: "attach", tags: [], bytes: artifact });
}

const mount: Action = ({ path, source, state, change }, registry) =>
  change("mount", withBlob(state(), source.digest), () =>
    registry.send("POST", `${path}/blobs/uploads/?mount=${source.digest}&from=${source.repository}`, { body: "" }),
  );

const untag: Action = ({ path, state, change }, registry) => {
  const tag = oneOf([...state().tags.keys()]);
  if (tag === undefined) return undefined;
  const after = { ...state(), tags: new Map([...state().tags].filter(([name]) => name !== tag)) };
  return change("untag", after, () => registry.send("DELETE", `${path}/manifests/${tag}`));
};

const deleteManifest: Action = ({ path, images, state, change }, registry) => {
  const digest = oneOf([...state().manifests]);
  if (digest === undefined || state().manifests.size < 2) return undefined;
  images.delete(digest);
  const after = {
    ...state(),
    manifests: state().manifests.difference(new Set([digest])),
    tags: new Map([...state().tags].filter(([, named]) => named !== digest)),
  };
  return change("delete", after, () => registry.send("DELETE", `${path}/manifests/${digest}`));
};

const removeBlob: Action = ({ path, source, state, change }, registry) => {
  if (!state().blobs.has(source.digest)) return undefined;
  const after = { ...state(), blobs: state().blobs.difference(new Set([source.digest])) };
  return change("remove", after, () => registry.send("DELETE", `${path}/blobs/${source.digest}`));
};

/** Begins an upload or goes on with one, a part at a time. */
async function continueUpload(load: Load, registry: Registry): Promise<void> {
  const open = load.state().uploads;
  if (open.size < mostOpenUploads) return void (await begin(load, registry, randomLayer()));
  const [location, { content, toldBytes }] = oneOf([...open]) ?? ["", { content: Buffer.alloc(0), toldBytes: 0 }];
  if (toldBytes === content.length) return finish(load, registry, location);
  await patch(load, registry, { location, end: Math.min(content.length, toldBytes + 30_000) });
}

const cancel: Action = ({ state, change }, registry) => {
  const location = oneOf([...state().uploads.keys()]);
  if (location === undefined || state().uploads.size < 2) return undefined;
  return change("cancel", withoutUpload(state(), location), () => registry.send("DELETE", location));
};

const oneTag = (): readonly string[] => [`t${String(Math.floor(Math.random() * 5))}`];

export const changes: readonly Action[] = [
  pushImage,
  pushImage,
  attach,
  attach,
  putAgain("tag", () => ["moving"]),
  putAgain("tag", oneTag),
  putAgain("tags", () => ["moving", "both", ...oneTag()]),
  mount,
  untag,
  deleteManifest,
  removeBlob,
  continueUpload,
  continueUpload,
  continueUpload,
  cancel,
  cancel,
];
