import { readFile } from "node:fs/promises";
import { type ApiAnswer, apiClient, type ApiRequest, type CallApi } from "../access/api/client.ts";
import { type GuardedFetch, guardedFetch } from "../platform/net/guarded-fetch.ts";
import type { OutboundReply } from "../platform/net/outbound.ts";
import { StartError } from "./start-error.ts";

const mostAnswerBytes = 64 * 1024 * 1024;

export interface Server {
  /** Without a path. */
  readonly origin: string;
  /** Authorities in PEM that the server is trusted by, beside the usual ones. */
  readonly caFile: string | undefined;
}

/** @throws StartError */
export function serverOf(text: string, caFile: string | undefined): Server {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "") {
    throw new StartError(`${text}: it is no address of a server, such as https://registry.example.org`);
  }
  return { origin: url.origin, caFile };
}

interface Named {
  readonly server?: string;
  readonly caFile?: string;
}

/** The server that a command is for. @throws StartError */
export function namedServer({ server = process.env["BERTH_SERVER"], caFile }: Named): Server {
  if (server === undefined || server === "") throw new StartError("which server? --server or BERTH_SERVER says it");
  return serverOf(server, caFile);
}

export interface Sender {
  readonly send: (request: ApiRequest) => Promise<ApiAnswer>;
  /** The cookie that the last answer has set. */
  readonly cookie: () => string | undefined;
}

/** What a command shows a server: the cookie of a session, or a personal token or robot's secret. */
export type Credentials = { readonly cookie: string } | { readonly token: string };

/** The way to a server, which may be on this machine or in the same house: the operator has named it. */
export async function wayTo({ origin, caFile }: Server): Promise<GuardedFetch> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, "utf8");
  const { hostname } = new URL(origin);
  return guardedFetch({ allow: [hostname], maxBodyBytes: mostAnswerBytes, ...(ca !== undefined && { ca }) });
}

export async function senderTo(server: Server, shown: Credentials | undefined): Promise<Sender> {
  const { origin } = server;
  const ask = await wayTo(server);
  let set: string | undefined;
  return {
    cookie: () => set,
    async send({ method, path, headers, body }) {
      const reply = await ask({
        url: `${origin}/api/v1${path}`,
        method,
        headers: { ...headers, ...(shown && headersOf(shown, origin)) },
        ...(body !== undefined && { body }),
      });
      set = cookieOf(reply) ?? set;
      return { status: reply.status, text: Buffer.from(await reply.bytes()).toString("utf8") };
    },
  };
}

/** As a page of the server does: a cookie counts from there alone. */
const headersOf = (shown: Credentials, origin: string) =>
  "token" in shown ? { authorization: `Bearer ${shown.token}` } : { cookie: shown.cookie, origin };

/** Name and value of the one cookie that the API sets. */
const cookieOf = ({ headers }: OutboundReply): string | undefined => headers.get("set-cookie")?.split(";", 1)[0];

export async function remoteApi(server: Server, shown: Credentials): Promise<CallApi> {
  return apiClient((await senderTo(server, shown)).send);
}
