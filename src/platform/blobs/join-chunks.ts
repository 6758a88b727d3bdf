import { letGo } from "./let-go.ts";

/** The chunks as one, which they are let go of for; a single one is it already. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  // Of its own, as `letGo` needs it, and not filled with zeros first.
  const joined = Buffer.allocUnsafeSlow(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
    letGo(chunk);
  }
  return joined;
}
