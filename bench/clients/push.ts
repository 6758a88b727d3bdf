import { ociManifest } from "../../src/oci/media-type.ts";
import type { Started } from "../servers/server.ts";
import type { Push } from "./body.ts";
import { type Answer, connect, type Exchange, type Pace } from "./connection.ts";

/** A client that pushes on one connection. */
export interface Pusher {
  /** As docker does: an upload is opened, the bytes are streamed into it, and it is ended with its digest. */
  streamed(repository: string, push: Push, pace?: Pace): Promise<void>;
  /** The bytes come with the request that ends the upload. */
  inOnePut(repository: string, push: Push): Promise<void>;
  manifest(repository: string, reference: string, bytes: Uint8Array): Promise<void>;
  /** Whether the blob is there, as docker asks before it pushes. */
  has(repository: string, digest: string): Promise<boolean>;
  /** Opens an upload; its path. */
  open(repository: string): Promise<string>;
  /** Ends an upload that came to nothing; where it is gone already, all is well. */
  cancel(location: string): Promise<void>;
  remove(path: string): Promise<void>;
  close(): void;
}

export async function pusherOf(server: Started): Promise<Pusher> {
  const connection = await connect(server);
  const credentials = server.authorization === undefined ? [] : [`Authorization: ${server.authorization}`];
  const ask = (line: string, headers: readonly string[] = [], request: Omit<Exchange, "head"> = {}): Promise<Answer> =>
    connection.exchange({ keep: true, ...request, head: [`${line} HTTP/1.1`, ...credentials, ...headers] });
  const open = async (repository: string): Promise<string> =>
    locationOf(expectStatus(await ask(`POST /v2/${repository}/blobs/uploads/`, ["Content-Length: 0"]), 202));
  const octets = "Content-Type: application/octet-stream";
  return {
    async streamed(repository, { chunked, digest }, pace) {
      const location = await open(repository);
      const headers = [octets, "Transfer-Encoding: chunked"];
      const body = pace === undefined ? chunked : chunked.flatMap(slices);
      const sent = await ask(`PATCH ${location}`, headers, { body, ...(pace && { pace }) });
      const end = withDigest(locationOf(expectStatus(sent, 202)), digest);
      expectStatus(await ask(`PUT ${end}`, [octets, "Content-Length: 0"]), 201);
    },
    async inOnePut(repository, { whole, digest }) {
      const location = withDigest(await open(repository), digest);
      const length = `Content-Length: ${String(whole.reduce((sum, part) => sum + part.length, 0))}`;
      expectStatus(await ask(`PUT ${location}`, [octets, length], { body: whole }), 201);
    },
    async manifest(repository, reference, bytes) {
      const headers = [`Content-Type: ${ociManifest}`, `Content-Length: ${String(bytes.length)}`];
      expectStatus(await ask(`PUT /v2/${repository}/manifests/${reference}`, headers, { body: [bytes] }), 201);
    },
    async has(repository, digest) {
      return (await ask(`HEAD /v2/${repository}/blobs/${digest}`)).status === 200;
    },
    open,
    async cancel(location) {
      await ask(`DELETE ${location}`);
    },
    async remove(path) {
      expectStatus(await ask(`DELETE ${path}`), 202);
    },
    close: () => connection.close(),
  };
}

const sliceBytes = 256 << 10;

function slices(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / sliceBytes) }, (_, index) =>
    bytes.subarray(index * sliceBytes, (index + 1) * sliceBytes),
  );
}

function expectStatus(answer: Answer, status: number): Answer {
  if (answer.status === status) return answer;
  throw new Error(`answered ${String(answer.status)}, not ${String(status)}: ${answer.body.toString().slice(0, 300)}`);
}

function locationOf({ head }: Answer): string {
  const [, location] = /^location: *(\S+)/im.exec(head) ?? [];
  if (location === undefined) throw new Error("an upload has no location");
  return location.replace(/^https?:\/\/[^/]+/, "");
}

const withDigest = (location: string, digest: string): string =>
  `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
