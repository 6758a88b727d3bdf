import type { Certificate } from "../platform/certificates/certificate.ts";
import type { Handle } from "../platform/runtime/http.ts";
import { type Listening, serve } from "../platform/runtime/serve.ts";
import { StartError } from "./start-error.ts";

interface Port {
  readonly setting: string;
  /** <host>:<port> */
  readonly addr: string;
  readonly certificate?: Certificate | undefined;
}

/** @throws StartError */
export function takePort({ setting, addr, certificate }: Port, handle: Handle): Listening {
  const colon = addr.lastIndexOf(":");
  const host = addr.slice(0, colon).replaceAll(/[[\]]/g, "");
  const hostname = host === "" ? "0.0.0.0" : host;
  const port = Number(addr.slice(colon + 1));
  try {
    return serve({ hostname, port, ...(certificate && { certificate }) }, handle);
  } catch (error) {
    throw new StartError(`${setting}: cannot listen on ${addr}: ${error instanceof Error ? error.message : ""}`);
  }
}
