/**
 * A small directory that knows Active Directory's rule for members of members (MS-ADTS 3.1.1.3.4.4.3), which OpenLDAP does not.
 * It is a program: `chain-directory.ts CERT KEY` prints its port, and ends with its standard input.
 */
import { readFileSync } from "node:fs";
import { createServer, type TLSSocket } from "node:tls";
import { baseDn, inChain, password, personDn, groupDn } from "./chain-entries.ts";

type Entry = Readonly<Record<string, readonly string[]>> & { readonly dn: readonly [string] };

const person = (uid: string): Entry => ({
  dn: [personDn(uid)],
  objectClass: ["person"],
  uid: [uid],
  cn: [uid],
  entryUUID: [`id-of-${uid}`],
});
const group = (cn: string, member: readonly string[]): Entry => ({
  dn: [groupDn(cn)],
  objectClass: ["group"],
  cn: [cn],
  member,
});

/** `outer` and `inner` hold each other, too. */
const entries: readonly Entry[] = [
  { dn: [`cn=reader,${baseDn}`], objectClass: ["device"] },
  person("ann"),
  person("bob"),
  group("inner", [personDn("ann"), groupDn("outer")]),
  group("middle", [groupDn("inner")]),
  group("outer", [groupDn("middle")]),
  group("others", [personDn("bob")]),
];

interface Element {
  readonly tag: number;
  readonly body: Buffer;
}

/** One element of BER at the beginning, with how long it is; `undefined` while it is not all there. */
function readElement(bytes: Buffer): { readonly element: Element; readonly length: number } | undefined {
  const [tag, first] = [bytes[0], bytes[1]];
  if (tag === undefined || first === undefined) return undefined;
  const more = first < 0x80 ? 0 : first - 0x80;
  if (bytes.length < 2 + more) return undefined;
  const size = more === 0 ? first : bytes.readUIntBE(2, more);
  const length = 2 + more + size;
  return bytes.length < length ? undefined : { element: { tag, body: bytes.subarray(2 + more, length) }, length };
}

function elementsIn(body: Buffer): readonly Element[] {
  const found: Element[] = [];
  for (let rest = body; rest.length > 0;) {
    const read = readElement(rest);
    if (read === undefined) throw new Error("half an element");
    found.push(read.element);
    rest = rest.subarray(read.length);
  }
  return found;
}

function encode(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(5);
  length[0] = 0x84;
  length.writeUInt32BE(body.length, 1);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}
const octets = (text: string): Buffer => encode(0x04, Buffer.from(text));

const values = (entry: Entry, attribute: string): readonly string[] =>
  Object.entries(entry).find(([name]) => name.toLowerCase() === attribute.toLowerCase())?.[1] ?? [];
const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** Whether a DN is among an entry's values, or among those of one that is. */
function isInChain(entry: Entry, attribute: string, dn: string): boolean {
  const seen = new Set<Entry>();
  const look = (one: Entry): boolean => {
    if (seen.has(one)) return false;
    seen.add(one);
    return values(one, attribute).some(
      (value) => isSame(value, dn) || entries.some((other) => isSame(other.dn[0], value) && look(other)),
    );
  };
  return look(entry);
}

function fits(entry: Entry, { tag, body }: Element): boolean {
  switch (tag) {
    case 0xa0:
      return elementsIn(body).every((one) => fits(entry, one));
    case 0xa1:
      return elementsIn(body).some((one) => fits(entry, one));
    case 0xa3: {
      const [attribute = "", wanted = ""] = elementsIn(body).map((one) => one.body.toString());
      return values(entry, attribute).some((value) => isSame(value, wanted));
    }
    case 0x87:
      return values(entry, body.toString()).length > 0;
    case 0xa9: {
      const parts = new Map(elementsIn(body).map((one) => [one.tag, one.body.toString()]));
      if (parts.get(0x81) !== inChain) throw new Error(`no such rule: ${parts.get(0x81) ?? ""}`);
      return isInChain(entry, parts.get(0x82) ?? "", parts.get(0x83) ?? "");
    }
    default:
      throw new Error(`no such filter: ${tag}`);
  }
}

const result = (tag: number, code: number): Buffer =>
  encode(tag, encode(0x0a, Buffer.from([code])), octets(""), octets(""));

function search(body: Buffer): readonly Buffer[] {
  const [base, scope, , , , , filter, wanted] = elementsIn(body);
  if (base === undefined || filter === undefined || wanted === undefined) throw new Error("half a search");
  const from = base.body.toString().toLowerCase();
  const isWithin = ({ dn: [dn] }: Entry): boolean =>
    scope?.body[0] === 0 ? isSame(dn, from) : dn.toLowerCase().endsWith(from);
  const attributes = elementsIn(wanted.body).map((one) => one.body.toString());
  const found = entries.filter((entry) => isWithin(entry) && fits(entry, filter));
  const shown = found.map((entry) => {
    const pairs = attributes
      .filter((attribute) => values(entry, attribute).length > 0)
      .map((attribute) => encode(0x30, octets(attribute), encode(0x31, ...values(entry, attribute).map(octets))));
    return encode(0x64, octets(entry.dn[0]), encode(0x30, ...pairs));
  });
  return [...shown, result(0x65, 0)];
}

const invalidCredentials = 49;

function answersTo({ tag, body }: Element): readonly Buffer[] {
  switch (tag) {
    case 0x60: {
      const [, name, shown] = elementsIn(body);
      const isKnown = entries.some(({ dn: [dn] }) => isSame(dn, name?.body.toString() ?? ""));
      return [result(0x61, isKnown && shown?.body.toString() === password ? 0 : invalidCredentials)];
    }
    case 0x63:
      return search(body);
    default:
      return [];
  }
}

function serve(socket: TLSSocket): void {
  let waiting = Buffer.alloc(0);
  socket.on("error", () => undefined);
  socket.on("data", (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes]);
    for (let read = readElement(waiting); read !== undefined; read = readElement(waiting)) {
      waiting = waiting.subarray(read.length);
      const [id, operation] = elementsIn(read.element.body);
      if (id === undefined || operation === undefined) throw new Error("half a message");
      for (const answer of answersTo(operation)) socket.write(encode(0x30, encode(0x02, id.body), answer));
    }
  });
}

const [, , certFile = "", keyFile = ""] = process.argv;
const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, serve);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${typeof address === "object" && address !== null ? address.port : 0}\n`);
});
process.stdin.on("end", () => process.kill(process.pid));
process.stdin.resume();
