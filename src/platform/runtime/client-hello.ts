/** What a client says before anything is encrypted. */
export interface ClientHello {
  readonly serverName: string | undefined;
  readonly protocols: readonly string[];
}

const handshakeRecord = 22;
const clientHello = 1;
const extensions = { serverName: 0, protocols: 16 } as const;

/**
 * Reads the beginning of a connection. `undefined` asks for more of it; "other" is no client's hello, whatever follows.
 * Never reads past what a length says, whoever wrote it.
 */
export function readClientHello(bytes: Buffer): ClientHello | "other" | undefined {
  const message = joinRecords(bytes);
  if (message === undefined || message === "other") return message;
  if (message.length > 0 && message[0] !== clientHello) return "other";
  if (message.length < 4) return undefined;
  const length = message.readUIntBE(1, 3);
  if (message.length < 4 + length) return undefined;
  try {
    return parse(message.subarray(4, 4 + length));
  } catch {
    return "other";
  }
}

/** A message may be spread over several records. */
function joinRecords(bytes: Buffer): Buffer | "other" | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== handshakeRecord || (at + 1 < bytes.length && bytes[at + 1] !== 3)) return "other";
    if (bytes.length < at + 5) break;
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    parts.push(bytes.subarray(at + 5, Math.min(end, bytes.length)));
    at = end;
  }
  return Buffer.concat(parts);
}

function parse(body: Buffer): ClientHello {
  const reader = reading(body);
  reader.take(2 + 32);
  reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  let serverName: string | undefined;
  let protocols: readonly string[] = [];
  const all = reader.left() === 0 ? reading(Buffer.alloc(0)) : reading(reader.vector(2));
  while (all.left() > 0) {
    const type = all.take(2).readUInt16BE();
    const content = all.vector(2);
    if (type === extensions.serverName) serverName = readServerName(content);
    if (type === extensions.protocols) protocols = readProtocols(content);
  }
  return { serverName, protocols };
}

function readServerName(content: Buffer): string | undefined {
  const names = reading(reading(content).vector(2));
  while (names.left() > 0) {
    const [type] = names.take(1);
    const name = names.vector(2).toString("latin1");
    if (type === 0) return name.toLowerCase();
  }
  return undefined;
}

function readProtocols(content: Buffer): readonly string[] {
  const list = reading(reading(content).vector(2));
  const found: string[] = [];
  while (list.left() > 0) found.push(list.vector(1).toString("latin1"));
  return found;
}

/** Takes one thing after the other. @throws RangeError where there is less than was said */
function reading(bytes: Buffer) {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError("shorter than it says");
    at += length;
    return bytes.subarray(at - length, at);
  };
  return {
    take,
    /** With its length in front, in so many bytes. */
    vector: (lengthBytes: 1 | 2): Buffer => take(take(lengthBytes).readUIntBE(0, lengthBytes)),
    left: (): number => bytes.length - at,
  };
}
