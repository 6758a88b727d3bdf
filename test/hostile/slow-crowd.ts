import { openSocket } from "./wire.ts";

// A process of its own: bun slow-crowd.ts <host> <authorization> <path of a large blob> <how many of each kind>
// Opens slow connections of every kind, says "ready", and keeps them until it is killed or 2 minutes are over.
const [host = "", authorization = "", blob = "", each = "0"] = process.argv.slice(2);
const auth = `Host: ${host}\r\nAuthorization: ${authorization}\r\n`;
const limitMs = 120_000;

interface Kind {
  readonly first: (at: number) => string;
  /** What is said again and again. */
  readonly piece?: string;
}

const kinds: readonly Kind[] = [
  { first: () => "" },
  { first: (at) => "GET /v2/ HTTP/1.1\r\nHost: slow.example\r\nX-Slow: ".slice(0, 10 + (at % 45)) },
  { first: () => `GET /v2/ HTTP/1.1\r\n${auth}X-Slow: `, piece: "x" },
  { first: (at) => `PUT /v2/slow/body/manifests/v${at} HTTP/1.1\r\n${auth}Content-Length: 1000000\r\n\r\n` },
  {
    first: (at) => `PUT /v2/slow/body/manifests/v${at} HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\nffff\r\nx`,
    piece: "x",
  },
  {
    first: () =>
      `POST /v2/slow/body/blobs/uploads/?digest=${digest()} HTTP/1.1\r\n${auth}Content-Length: 1000000\r\n\r\nx`,
  },
  { first: () => `GET ${blob} HTTP/1.1\r\n${auth}\r\n` },
];

const digest = (): string => blob.slice(blob.indexOf("sha256:"));

const open = async ({ first, piece }: Kind, at: number): Promise<void> => {
  const socket = await openSocket(host);
  socket.write(first(at));
  if (piece !== undefined) setInterval(() => socket.write(piece), 1000);
};

await Promise.all(kinds.flatMap((kind) => Array.from({ length: Number(each) }, (_, at) => open(kind, at))));
process.stdout.write("ready\n");
await Bun.sleep(limitMs);
