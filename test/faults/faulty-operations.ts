import { randomBytes } from "node:crypto";
import { describeBytes, digestOf, inPieces, jsonBytes, mediaTypes } from "../protocol/content.ts";
import { type Answer, type Call, type Registry, withQuery } from "../protocol/registry-client.ts";
import type { RepositoryState } from "./expected-state.ts";

export const repository = "acme/faults";
/** Where mounts come from. */
export const sourceRepository = "acme/source";

/** What a client asks for, request by request, until one of them is refused. */
export interface Operation {
  readonly name: string;
  /** Ends with the last answer. */
  readonly run: (registry: Registry, known: Known) => Promise<Answer>;
  /** What is sure once the last answer is a success. */
  readonly after: (known: Known, state: RepositoryState) => RepositoryState;
}

/** Made anew for each attempt. */
export interface Known {
  readonly config: Buffer;
  readonly blob: Buffer;
  readonly image: Buffer;
  /** Digest of a blob of the other repository. */
  readonly source: string;
}

export const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300;

export const imageOf = (config: Buffer): Buffer =>
  jsonBytes({
    schemaVersion: 2,
    mediaType: mediaTypes.image,
    config: describeBytes(mediaTypes.config, config),
    layers: [],
    annotations: { id: randomBytes(8).toString("hex") },
  });

const uploads = `/v2/${repository}/blobs/uploads/`;
const image = { "Content-Type": mediaTypes.image };
const pushed = ({ blob }: Known, state: RepositoryState): RepositoryState => ({
  ...state,
  blobs: new Set([...state.blobs, digestOf(blob)]),
});
const unchanged = (_: Known, state: RepositoryState): RepositoryState => state;

type Step = (location: string) => readonly [method: string, target: string, call?: Call];

/** One request after the other, each to where the one before led, up to the first that is refused. */
async function inTurn(registry: Registry, steps: readonly Step[]): Promise<Answer> {
  let location = "";
  let answer: Answer | undefined;
  for (const step of steps) {
    answer = await registry.send(...step(location));
    location = answer.header("location") ?? location;
    if (!isSuccess(answer)) break;
  }
  if (answer === undefined) throw new Error("an operation without a step");
  return answer;
}

const begin: Step = () => ["POST", uploads, { body: "" }];

export const operations = {
  put: {
    name: "push in a POST and a PUT",
    run: (registry, { blob }) =>
      inTurn(registry, [begin, (to) => ["PUT", withQuery(to, `digest=${digestOf(blob)}`), { body: blob }]]),
    after: pushed,
  },
  post: {
    name: "push in one POST",
    run: (registry, { blob }) => registry.send("POST", `${uploads}?digest=${digestOf(blob)}`, { body: blob }),
    after: pushed,
  },
  chunks: {
    name: "push in chunks",
    run: (registry, { blob }) =>
      inTurn(registry, [
        begin,
        (to) => ["PATCH", to, { body: blob.subarray(0, 10_000), headers: { "Content-Range": "0-9999" } }],
        (to) => ["PATCH", to, { body: inPieces(blob.subarray(10_000, 20_000), blob.subarray(20_000)) }],
        (to) => ["PUT", withQuery(to, `digest=${digestOf(blob)}`), { body: "" }],
      ]),
    after: pushed,
  },
  manifest: {
    name: "manifest push and tag move",
    run: (registry, known) =>
      registry.send("PUT", `/v2/${repository}/manifests/moving`, { headers: image, body: known.image }),
    after: (known, state) => ({
      ...state,
      manifests: new Set([...state.manifests, digestOf(known.image)]),
      tags: new Map([...state.tags, ["moving", digestOf(known.image)]]),
    }),
  },
  remove: {
    name: "delete of a manifest, and cancel of an upload",
    run(registry, known) {
      const bytes = jsonBytes({ ...(JSON.parse(known.image.toString()) as object), annotations: { kept: "no" } });
      const path = `/v2/${repository}/manifests/${digestOf(bytes)}`;
      return inTurn(registry, [
        () => ["PUT", path, { headers: image, body: bytes }],
        () => ["DELETE", path],
        begin,
        (to) => ["PATCH", to, { body: "bytes that nobody wants" }],
        (to) => ["DELETE", to],
      ]);
    },
    after: unchanged,
  },
  mount: {
    name: "mount, and delete of the blob",
    run: (registry, { source }) =>
      inTurn(registry, [
        () => ["POST", `${uploads}?mount=${source}&from=${sourceRepository}`, { body: "" }],
        () => ["DELETE", `/v2/${repository}/blobs/${source}`],
      ]),
    after: unchanged,
  },
} as const satisfies Readonly<Record<string, Operation>>;
