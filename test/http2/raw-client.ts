import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";

export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const flags = { endStream: 1, endHeaders: 4, ack: 1 } as const;

interface Frame {
  readonly type: number;
  readonly flags?: number;
  readonly stream?: number;
  readonly payload?: Uint8Array;
}

export function frame({ type, flags: given = 0, stream = 0, payload = Buffer.alloc(0) }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(given, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);

/** The headers of a GET, without compression (RFC 7541). */
export const get = (path: string): Buffer =>
  Buffer.concat([Buffer.from([0x82, 0x87, 0x04]), text(path), Buffer.from([0x01]), text("localhost")]);

/** The headers of a PUT with a body of so many bytes. */
export const put = (path: string, bytes: number): Buffer =>
  Buffer.concat([
    Buffer.from([0x02]),
    text("PUT"),
    Buffer.from([0x87, 0x04]),
    text(path),
    Buffer.from([0x01]),
    text("localhost"),
    Buffer.from([0x0f, 0x0d]),
    text(String(bytes)),
  ]);

/** A header that the other side is to remember under the next free number. */
export const remembered = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0x40]),
    text(name),
    Buffer.from([0x7f]),
    lengthBeyond(value.length - 127),
    Buffer.from(value),
  ]);

function lengthBeyond(rest: number): Buffer {
  const bytes: number[] = [];
  let left = rest;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

/** Value of a setting, by its number. */
export const setting = (id: number, value: number): Buffer => {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id, 0);
  payload.writeUInt32BE(value, 2);
  return payload;
};

/** A connection that has said hello in HTTP/2. */
export async function openRaw(url: string, settings: Uint8Array = Buffer.alloc(0)): Promise<TLSSocket> {
  const port = Number(new URL(url).port);
  const socket = connect({ host: "127.0.0.1", port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  socket.write(
    Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      frame({ type: frameTypes.settings, payload: settings }),
    ]),
  );
  return socket;
}
