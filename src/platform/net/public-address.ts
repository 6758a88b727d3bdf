import { isIP, isIPv4 } from "node:net";
import { openNetworks } from "./networks.ts";

/** What is not the internet's at large, by IANA's two registries of special addresses. */
const notPublic = openNetworks([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  // Teredo and 6to4 hold an IPv4 address that somebody else chooses.
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
]);
const globalUnicast = openNetworks(["2000::/3"]);
/** An IPv4 address behind a translator (RFC 6052), as networks with IPv6 alone have them. */
const translated = /^64:ff9b::([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;
const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/** Whether anyone on the internet may be meant by an address: no private network, no link, not this machine. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !notPublic.has(address);
  // A zone only has a meaning where an address is not public.
  if (isIP(address) !== 6 || address.includes("%")) return false;
  // In its one spelling: `64:ff9b::10.0.0.1` has several.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = translated.exec(canonical) ?? mapped.exec(canonical) ?? [];
  if (high !== undefined && low !== undefined) return isPublicAddress(dotted(high, low));
  return globalUnicast.has(canonical) && !notPublic.has(canonical);
}

function dotted(high: string, low: string): string {
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [upper >> 8, upper & 0xff, lower >> 8, lower & 0xff].join(".");
}
