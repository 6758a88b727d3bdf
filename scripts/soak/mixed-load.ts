import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { describeBytes, type Descriptor, digestOf, jsonBytes, mediaTypes } from "../../test/protocol/content.ts";
import { type Answer, basic, type Registry, registryOf, withQuery } from "../../test/protocol/registry-client.ts";
import type { TestServer } from "../../test/support/server.ts";

/** Pulls, pushes and deletes, and requests that are broken off in the middle of a body, both ways. */
export interface MixedLoad {
  run(isOver: () => boolean): Promise<void>;
  /** How often what was done. */
  readonly done: ReadonlyMap<string, number>;
  /** Answers that no registry may give: other bytes than were asked for, above all. */
  readonly problems: readonly string[];
}

const repository = "acme/soak";
const path = `/v2/${repository}`;
/** Pushed again and again with other content by one client each; the image that a tag leaves is deleted. */
const tags = ["a", "b"].map((client) => Array.from({ length: 10 }, (_, index) => `${client}${String(index)}`));
const largestLayerBytes = 512 * 1024;
/** A blob that is never taken whole. */
const cutLayer = (() => {
  const bytes = randomBytes(4 * 1024 * 1024);
  return { bytes, digest: digestOf(bytes) };
})();
/** Deleted bytes stay on the disk for more than half an hour, so there must not be too many of them. */
const pushPauseMs = 500;
const pullPauseMs = 40;
const cutPauseMs = 200;

interface Image {
  readonly digest: string;
  readonly blobs: readonly Descriptor[];
}

/** What the clients work on. */
interface Load {
  readonly server: TestServer;
  readonly registry: Registry;
  /** By tag. */
  readonly images: Map<string, Image>;
  readonly count: (what: string) => void;
  readonly complain: (problem: string) => void;
  /** Whether it is so; where not, it is complained of. */
  readonly expectStatus: (answer: Answer, status: number, what: string) => boolean;
}

export function mixedLoad(server: TestServer): MixedLoad {
  const done = new Map<string, number>();
  const problems: string[] = [];
  const load: Load = {
    server,
    registry: registryOf(server),
    images: new Map(),
    count: (what) => void done.set(what, (done.get(what) ?? 0) + 1),
    complain: (problem) => void problems.push(problem),
    expectStatus(answer, status, what) {
      if (answer.status !== status) problems.push(`${what}: ${String(answer.status)} ${answer.text.slice(0, 200)}`);
      return answer.status === status;
    },
  };
  return {
    done,
    problems,
    async run(isOver) {
      const repeat = async (act: () => Promise<void>, pauseMs: number): Promise<void> => {
        while (!isOver()) {
          await act();
          await Bun.sleep(Math.random() * 2 * pauseMs);
        }
      };
      await Promise.all([
        // Each has tags of its own: of two pushes under one, nobody would know which came last.
        ...tags.map((own) => repeat(() => push(load, own), pushPauseMs)),
        ...tags.map(() => repeat(() => pull(load), pullPauseMs)),
        repeat(() => cutPull(load), cutPauseMs),
        repeat(() => cutPush(load), cutPauseMs),
      ]);
    },
  };
}

const oneOf = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)];

async function pushBlob({ registry, expectStatus }: Load, bytes: Buffer): Promise<Descriptor> {
  const begun = await registry.send("POST", `${path}/blobs/uploads/`, { body: "" });
  let [location, rest] = [begun.header("location") ?? "", bytes];
  if (Math.random() < 0.5) {
    const sent = await registry.send("PATCH", location, { body: bytes });
    [location, rest] = [sent.header("location") ?? "", Buffer.alloc(0)];
  }
  const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), { body: rest });
  expectStatus(put, 201, "push of a blob");
  return describeBytes(mediaTypes.layer, bytes);
}

async function push(load: Load, own: readonly string[]): Promise<void> {
  const { registry, images, count, expectStatus } = load;
  const tag = oneOf(own) ?? "latest";
  const blobs: Descriptor[] = [];
  for (const size of [200, 1000, Math.floor(Math.random() * largestLayerBytes)])
    blobs.push(await pushBlob(load, randomBytes(size)));
  const [config, ...layers] = blobs;
  const body = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers });
  const headers = { "Content-Type": mediaTypes.image };
  const put = await registry.send("PUT", `${path}/manifests/${tag}`, { headers, body });
  if (!expectStatus(put, 201, "push of a manifest")) return;
  count("pushes");
  const before = images.get(tag);
  images.set(tag, { digest: digestOf(body), blobs });
  if (before === undefined) return;
  const deleted = await registry.send("DELETE", `${path}/manifests/${before.digest}`);
  if (expectStatus(deleted, 202, "delete of a manifest")) count("deletes");
}

/** A tag that is known by now leads to some image that was pushed under it, and all of that is still there. */
async function pull({ registry, images, count, complain, expectStatus }: Load): Promise<void> {
  const tag = oneOf([...images.keys()]);
  if (tag === undefined) return;
  const manifest = await registry.send("GET", `${path}/manifests/${tag}`);
  if (!expectStatus(manifest, 200, `pull of ${tag}`)) return;
  if (digestOf(manifest.bytes) !== manifest.header("docker-content-digest")) complain(`other bytes of ${tag}`);
  for (const [, digest = ""] of manifest.text.matchAll(/"digest":"([^"]+)"/g)) {
    const blob = await registry.send("GET", `${path}/blobs/${digest}`);
    if (expectStatus(blob, 200, `pull of ${digest}`) && digestOf(blob.bytes) !== digest)
      complain(`other bytes of ${digest}`);
  }
  count("pulls");
}

async function cutPull(load: Load): Promise<void> {
  const { registry, server, count } = load;
  // What nobody names lasts as long as its lease, which is prolonged for whoever may push and asks.
  if ((await registry.send("HEAD", `${path}/blobs/${cutLayer.digest}`)).status !== 200)
    await pushBlob(load, cutLayer.bytes);
  await breakOff(server, { request: `GET ${path}/blobs/${cutLayer.digest}`, part: undefined });
  count("cut pulls");
}

async function cutPush({ registry, server, count }: Load): Promise<void> {
  const begun = await registry.send("POST", `${path}/blobs/uploads/`, { body: "" });
  const location = begun.header("location") ?? "";
  await breakOff(server, {
    request: `PATCH ${location}`,
    part: randomBytes(1 + Math.floor(Math.random() * largestLayerBytes)),
  });
  count("cut pushes");
  // Some clients say that they have given up; the others' uploads expire.
  if (Math.random() < 0.5) await registry.send("DELETE", location);
}

interface Broken {
  readonly request: string;
  /** What is sent of the body, all of which would be larger; without one, a part of the answer is taken. */
  readonly part: Buffer | undefined;
}

async function breakOff({ host, admin }: TestServer, { request, part }: Broken): Promise<void> {
  const [hostname = "", port] = host.split(":");
  const socket = connect(Number(port), hostname);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  socket.on("error", () => end());
  socket.on("close", () => end());
  const length = part === undefined ? "" : `Content-Length: ${String(cutLayer.bytes.length)}\r\n`;
  const who = `Host: ${host}\r\nAuthorization: ${basic(admin.username, admin.password)}\r\n`;
  socket.write(`${request} HTTP/1.1\r\n${who}${length}\r\n`);
  if (part === undefined) socket.once("data", () => socket.destroy());
  else socket.write(part, () => setTimeout(() => socket.destroy(), Math.random() * 50));
  await ended;
}
