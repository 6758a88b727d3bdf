import type { Socket } from "node:net";
import { DirectoryError } from "./directory-error.ts";

/** LDAPMessage 1, ExtendedRequest 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14.1). */
const request = Buffer.concat([Buffer.from("301d02010177188016", "hex"), Buffer.from("1.3.6.1.4.1.1466.20037")]);
const mostReplyBytes = 4096;

/**
 * Asks for TLS on a plain connection and returns when the other side may be spoken to in it. What comes behind its
 * answer would be read as if it had come inside of TLS, so nothing may. @throws DirectoryError
 */
export async function requestTls(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let received = Buffer.alloc(0);
  const refuse = (what: string): void => reject(new DirectoryError("tls", what));
  const read = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const message = elementAt(received, 0);
    if (message === undefined && received.length <= mostReplyBytes) return;
    const code = message?.end === received.length ? resultCode(received, message) : undefined;
    if (code === 0) resolve();
    else refuse(code === undefined ? "no answer to StartTLS" : `StartTLS is refused with code ${code}`);
  };
  const closed = (): void => refuse("the connection ended at StartTLS");
  socket.on("data", read).once("close", closed).once("error", closed);
  socket.write(request);
  try {
    await promise;
  } finally {
    socket.off("data", read).off("close", closed).off("error", closed);
  }
}

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** One element of BER; `undefined` while not all of it is there. */
function elementAt(bytes: Buffer, offset: number): Element | undefined {
  const [tag, first] = [bytes[offset], bytes[offset + 1]];
  if (tag === undefined || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  const start = offset + 2 + lengthBytes;
  if (lengthBytes > 4 || start > bytes.length) return undefined;
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(offset + 2, lengthBytes);
  const end = start + length;
  return end > bytes.length ? undefined : { tag, start, end };
}

const [integer, enumeration, extendedResponse, sequence] = [0x02, 0x0a, 0x78, 0x30];

/** Of an ExtendedResponse to message 1. */
function resultCode(bytes: Buffer, message: Element): number | undefined {
  const id = elementAt(bytes, message.start);
  const response = id && elementAt(bytes, id.end);
  const code = response && elementAt(bytes, response.start);
  if (message.tag !== sequence || id?.tag !== integer || bytes.readUIntBE(id.start, 1) !== 1) return undefined;
  if (response?.tag !== extendedResponse || code?.tag !== enumeration || code.end !== code.start + 1) return undefined;
  return bytes[code.start];
}
