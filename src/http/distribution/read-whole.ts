import { fail, type Problem } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { joinChunks } from "../../platform/blobs/join-chunks.ts";

/** A small body as a whole; reads nothing past the limit. @throws RegistryError with `tooLarge` */
export async function readWhole(request: Incoming, mostBytes: number, tooLarge: Problem): Promise<Uint8Array> {
  if (request.bodyBytes !== undefined && request.bodyBytes > mostBytes) fail(tooLarge);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > mostBytes) fail(tooLarge);
    chunks.push(chunk);
  }
  return joinChunks(chunks);
}
