import { ptr } from "bun:ffi";
import { openLibc } from "./libc.ts";

const [solSocket, receiveBuffer] = [1, 8];

/**
 * Has the kernel keep about so many bytes of a connection that nobody reads, where it would keep megabytes, all of which come
 * at once when the other end goes. Elsewhere than on Linux it stays as it is.
 */
export function boundReceiving(socket: object, bytes: number): void {
  // The declaration leaves it out.
  if (!("fd" in socket) || typeof socket.fd !== "number") return;
  const value = new Int32Array([bytes]);
  openLibc()?.setsockopt(socket.fd, solSocket, receiveBuffer, ptr(value), value.byteLength);
}
