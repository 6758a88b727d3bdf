import { expect } from "bun:test";
import { connect } from "node:net";
import { startServer, type TestServer } from "../../support/server.ts";

/** What a client puts on the wire, and nothing that it does not. */
export interface Call {
  readonly method: string;
  /** A path, or the Location that a reply gave, relative or absolute. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Pieces go out with chunked transfer and no length, as clients do that read from a pipe. */
  readonly body?: Uint8Array | string | readonly Uint8Array[];
  /** Scopes the client asks for beyond the one in the challenge. */
  readonly scopes?: readonly string[];
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface Challenge {
  readonly realm: string;
  readonly service: string;
  readonly scope: string | undefined;
  readonly error: string | undefined;
}

/** How a client gets a token once it has been challenged. */
export type GetToken = (wire: Wire, challenge: Challenge, scopes: readonly string[]) => Promise<string>;

/** A recorded client, replayed: its name, its way to a token, and a server of its own. */
export interface Wire extends AsyncDisposable {
  readonly server: TestServer;
  readonly userAgent: string;
  /** As the client's library sends it: on 401 it answers the challenge and tries once more. */
  send(call: Call): Promise<Reply>;
  /** One request, whatever the answer. */
  sendOnce(call: Call): Promise<Reply>;
}

export interface Client {
  readonly userAgent: string;
  readonly getToken: GetToken;
  /** Answers a second challenge for the same request when it names a scope that the token lacks. */
  readonly widensToken?: boolean;
}

export async function openWire(client: Client): Promise<Wire> {
  const server = await startServer();
  const tokens = new Map<string, string>();
  const sendOnce = async (call: Call): Promise<Reply> => {
    const reply = await fetch(new URL(call.path, server.url), {
      method: call.method,
      // Go's transport asks for gzip on its own, except for HEAD and ranges; a blob must come back as it is.
      headers: { "user-agent": client.userAgent, "accept-encoding": "identity", accept: "", ...call.headers },
      redirect: "manual",
      decompress: false,
      ...(call.body === undefined ? {} : { body: bodyOf(call.body) }),
    });
    return { status: reply.status, headers: reply.headers, body: Buffer.from(await reply.arrayBuffer()) };
  };
  const wire: Wire = {
    server,
    userAgent: client.userAgent,
    sendOnce,
    async send(call) {
      const known = tokens.get(scopeKey(call));
      const asked = new Set(call.scopes);
      let reply = await sendOnce(known === undefined ? call : withBearer(call, known));
      for (let round = 0; reply.status === 401 && round < (client.widensToken === true ? 2 : 1); round += 1) {
        const challenge = challengeOf(reply);
        for (const scope of challenge.scope?.split(" ") ?? []) asked.add(scope);
        const token = await client.getToken(wire, challenge, [...asked]);
        tokens.set(scopeKey(call), token);
        reply = await sendOnce(withBearer(call, token));
      }
      return reply;
    },
    async [Symbol.asyncDispose]() {
      // An orderly stop writes the whole log.
      await server.stop();
      const strangers = server.requests().filter((line) => line.userAgent !== client.userAgent);
      await server[Symbol.asyncDispose]();
      expect(strangers).toEqual([]);
    },
  };
  return wire;
}

/** Clients keep a token for a repository and what they want to do there. */
const scopeKey = (call: Call): string => {
  const [repository] = /^(?:[a-z]+:\/\/[^/]+)?\/v2\/(.+?)\/(?:blobs|manifests|tags|referrers)\//.exec(call.path) ?? [
    "",
  ];
  const reads = call.method === "GET" || call.method === "HEAD";
  return [repository, reads ? "pull" : call.method === "DELETE" ? "delete" : "push", ...(call.scopes ?? [])].join(" ");
};

const withBearer = (call: Call, token: string): Call => ({
  ...call,
  headers: { ...call.headers, authorization: `Bearer ${token}` },
});

function bodyOf(body: Exclude<Call["body"], undefined>): string | Buffer<ArrayBuffer> | ReadableStream<Uint8Array> {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return Buffer.from(body);
  const pieces = [...body];
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
}

/** Reads a Bearer challenge as the strictest parser does: every value quoted, realm and service always there. */
export function challengeOf(reply: Reply): Challenge {
  const header = reply.headers.get("www-authenticate") ?? "";
  expect(header).toMatch(/^Bearer [a-z_]+="[^"]*"(, ?[a-z_]+="[^"]*")*$/);
  const values = new Map([...header.matchAll(/([a-z_]+)="([^"]*)"/g)].map((found) => [found[1], found[2]]));
  const realm = values.get("realm") ?? "";
  const service = values.get("service") ?? "";
  expect(realm).toMatch(/^http:\/\/[^/]+\/./);
  expect(service).not.toBe("");
  return { realm, service, scope: values.get("scope"), error: values.get("error") };
}

/** A token endpoint's answer, with what clients insist on. */
export function tokenOf(reply: Reply): { readonly token: string; readonly refreshToken: string | undefined } {
  expect(reply.status).toBe(200);
  const answer = JSON.parse(reply.body.toString()) as Readonly<Record<string, unknown>>;
  expect(answer["access_token"]).toBeString();
  expect(answer["expires_in"]).toBeNumber();
  expect(answer["expires_in"]).toBeGreaterThanOrEqual(60);
  const refreshToken = answer["refresh_token"];
  return {
    token: answer["access_token"] as string,
    refreshToken: typeof refreshToken === "string" ? refreshToken : undefined,
  };
}

/** The token endpoint's GET form, with the account's credentials as Basic. */
export const tokenByGet =
  (extra: Readonly<Record<string, string>> = {}): GetToken =>
  async (wire, challenge, scopes) => {
    const url = new URL(challenge.realm);
    url.searchParams.set("service", challenge.service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    for (const [name, value] of Object.entries(extra)) url.searchParams.set(name, value);
    const headers = { authorization: basic(wire) };
    return tokenOf(await wire.sendOnce({ method: "GET", path: url.href, headers })).token;
  };

export const basic = (wire: Wire): string =>
  `Basic ${btoa(`${wire.server.admin.username}:${wire.server.admin.password}`)}`;

/** The one error code that a refusal gives. */
export function errorCodeOf(reply: Reply): string {
  const { errors } = JSON.parse(reply.body.toString()) as { readonly errors: readonly { readonly code: string }[] };
  expect(errors.length).toBeGreaterThan(0);
  return errors[0]?.code ?? "";
}

/** A header that the client cannot do without. */
export function needed(reply: Reply, name: string): string {
  const value = reply.headers.get(name);
  if (value === null || value === "") throw new Error(`status ${reply.status} without ${name}`);
  return value;
}

/** The upload's Location with the digest added the way Go's url.Values does: what was in the query stays. */
export function finishAt(reply: Reply, wire: Wire, digest: string): string {
  const url = new URL(needed(reply, "location"), wire.server.url);
  url.searchParams.set("digest", digest);
  return url.href;
}

/** Puts a blob where a replay needs one; not a part of what is replayed. */
export async function seedBlob(wire: Wire, repository: string, bytes: Uint8Array): Promise<string> {
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const opened = await wire.send({ method: "POST", path: `/v2/${repository}/blobs/uploads/` });
  expect(opened.status).toBe(202);
  const headers = { "content-type": "application/octet-stream" };
  const put = await wire.send({ method: "PUT", path: finishAt(opened, wire, digest), headers, body: bytes });
  expect(put.status).toBe(201);
  return digest;
}

/**
 * Sends a GET over a socket of its own, reads that many bytes of the body and hangs up in the middle of the rest, as
 * a client does that asked for an open-ended range and has enough.
 */
export async function readAndHangUp(
  wire: Wire,
  call: { readonly path: string; readonly headers: Readonly<Record<string, string>> },
  wantedBytes: number,
): Promise<{ readonly head: string; readonly body: Buffer }> {
  const { hostname, port, host } = new URL(wire.server.url);
  const lines = Object.entries({ Host: host, "User-Agent": wire.userAgent, ...call.headers });
  const request = [`GET ${call.path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`), "", ""];
  const socket = connect(Number(port), hostname);
  socket.write(request.join("\r\n"));
  let read = Buffer.alloc(0);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      read = Buffer.concat([read, chunk]);
      const end = read.indexOf("\r\n\r\n");
      if (end >= 0 && read.length >= end + 4 + wantedBytes) {
        return { head: read.toString("latin1", 0, end), body: read.subarray(end + 4, end + 4 + wantedBytes) };
      }
    }
  } finally {
    socket.destroy();
  }
  throw new Error(`the connection ended after ${read.length} bytes:\n${read.toString("latin1", 0, 1000)}`);
}
