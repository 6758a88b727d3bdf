import { isIP, isIPv4 } from "node:net";
import { objectId, octets, sequence, tagged } from "./der.ts";

/** The extension of a certificate, or of a request for one, that says whom it is for: DNS names and IP addresses. */
export const alternativeNames = (hosts: readonly string[]): Uint8Array =>
  sequence(objectId("2.5.29.17"), octets(sequence(...hosts.map(alternativeName))));

const alternativeName = (host: string): Uint8Array =>
  isIP(host) === 0 ? tagged(0x82, Buffer.from(host, "ascii")) : tagged(0x87, addressBytes(host));

const groups = (part: string): readonly string[] => (part === "" ? [] : part.split(":"));

function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes an address in its one canonical form, an IPv4 tail in hexadecimal.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - before.length - after.length }, () => "0");
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join(""), "hex");
}
