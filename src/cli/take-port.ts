import type { Certificate } from "../platform/certificates/certificate.ts";
import type { Handle, Reply } from "../platform/runtime/http.ts";
import { type ListeningSocket, openListeningSocket } from "../platform/runtime/listening-socket.ts";
import type { Patience } from "../platform/runtime/patience.ts";
import { type ClientCertificates, type Listening, serve } from "../platform/runtime/serve.ts";
import { StartError } from "./start-error.ts";

interface Port {
  readonly setting: string;
  /** <host>:<port> */
  readonly addr: string;
  readonly certificate?: Certificate | undefined;
  readonly clientCertificates?: ClientCertificates | undefined;
  /** Of this port, where other processes share it. */
  readonly socket?: ListeningSocket | undefined;
  readonly onFailure?: (error: unknown) => Reply;
  readonly patience: Patience;
  readonly onDownloadCut?: (remoteAddress: string) => void;
}

/** @throws StartError */
export function takePort(port: Port, handle: Handle): Listening {
  const { certificate, clientCertificates, socket, setting, addr, ...more } = port;
  const asks = clientCertificates && { clientCertificates };
  return atAddress({ setting, addr }, (address) =>
    serve({ ...address, ...more, ...asks, ...(certificate && { certificate }), ...(socket && { socket }) }, handle),
  );
}

/** Takes a port for processes that are to share it. @throws StartError */
export const takeSharedPort = (
  port: Pick<Port, "setting" | "addr">,
): { readonly host: string; readonly socket: ListeningSocket } =>
  atAddress(port, ({ hostname, port: number }) => ({
    host: hostname.includes(":") ? `[${hostname}]` : hostname,
    socket: openListeningSocket(hostname, number),
  }));

function atAddress<T>(
  { setting, addr }: Pick<Port, "setting" | "addr">,
  take: (address: { readonly hostname: string; readonly port: number }) => T,
): T {
  const colon = addr.lastIndexOf(":");
  const host = addr.slice(0, colon).replaceAll(/[[\]]/g, "");
  const hostname = host === "" ? "0.0.0.0" : host;
  const port = Number(addr.slice(colon + 1));
  try {
    return take({ hostname, port });
  } catch (error) {
    throw new StartError(`${setting}: cannot listen on ${addr}: ${error instanceof Error ? error.message : ""}`);
  }
}
