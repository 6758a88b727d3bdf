import type { Incoming } from "../platform/runtime/http.ts";

export type ReadForm =
  | { readonly kind: "form"; readonly form: URLSearchParams }
  | { readonly kind: "not-a-form" }
  /** No more of it was read. */
  | { readonly kind: "too-long" };

/** A body as forms of HTML send it. */
export async function readForm({ headers, body, bodyBytes }: Incoming, longestBytes: number): Promise<ReadForm> {
  const [mediaType = ""] = (headers.get("content-type") ?? "").split(";", 1);
  if (mediaType.trim().toLowerCase() !== "application/x-www-form-urlencoded") return { kind: "not-a-form" };
  if (bodyBytes !== undefined && bodyBytes > longestBytes) return { kind: "too-long" };
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > longestBytes) return { kind: "too-long" };
    chunks.push(chunk);
  }
  return { kind: "form", form: new URLSearchParams(Buffer.concat(chunks).toString("utf8")) };
}
