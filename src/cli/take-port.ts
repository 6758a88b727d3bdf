import type { Certificate } from "../platform/certificates/certificate.ts";
import type { Handle } from "../platform/runtime/http.ts";
import type { Patience } from "../platform/runtime/patience.ts";
import { type Listening, serve } from "../platform/runtime/serve.ts";
import { StartError } from "./start-error.ts";

interface Port {
  readonly setting: string;
  /** <host>:<port> */
  readonly addr: string;
  readonly certificate?: Certificate | undefined;
  readonly patience: Patience;
  readonly onDownloadCut?: (remoteAddress: string) => void;
}

/** @throws StartError */
export function takePort({ setting, addr, certificate, ...more }: Port, handle: Handle): Listening {
  const colon = addr.lastIndexOf(":");
  const host = addr.slice(0, colon).replaceAll(/[[\]]/g, "");
  const hostname = host === "" ? "0.0.0.0" : host;
  const port = Number(addr.slice(colon + 1));
  try {
    return serve({ hostname, port, ...more, ...(certificate && { certificate }) }, handle);
  } catch (error) {
    throw new StartError(`${setting}: cannot listen on ${addr}: ${error instanceof Error ? error.message : ""}`);
  }
}
