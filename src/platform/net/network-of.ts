import { isIP } from "node:net";

export interface PrefixBits {
  readonly ipv4Bits: number;
  readonly ipv6Bits: number;
}

/** What is no address stands for itself, cut to what any address has room in. */
const mostCharacters = 64;

/**
 * The network of an address, spelled the same for all of it: `192.0.2.7`, `192.0.2.0/24`, `2001:db8:0:1::/64`. An IPv4
 * address inside an IPv6 one is that IPv4 address.
 */
export function networkOf(address: string, { ipv4Bits, ipv6Bits }: PrefixBits): string {
  const [plain = ""] = address.split("%", 1);
  const version = isIP(plain);
  if (version === 4) return ipv4Network(plain.split(".").map(Number), ipv4Bits);
  if (version === 0) return address.slice(0, mostCharacters);
  const groups = groupsOf(plain);
  const [, , , , , marker = 0, high = 0, low = 0] = groups;
  const isMapped = marker === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (isMapped) return ipv4Network([high >> 8, high & 0xff, low >> 8, low & 0xff], ipv4Bits);
  return ipv6Network(groups, ipv6Bits);
}

function ipv4Network(bytes: readonly number[], bits: number): string {
  const masked = masks(bytes, { width: 8, bits }).join(".");
  return bits === 32 ? masked : `${masked}/${bits}`;
}

function ipv6Network(groups: readonly number[], bits: number): string {
  const masked = masks(groups, { width: 16, bits });
  const shown = masked.slice(0, masked.findLastIndex((group) => group !== 0) + 1);
  const text = shown.map((group) => group.toString(16)).join(":");
  const whole = shown.length === masked.length ? text : `${text}::`;
  return bits === 128 ? whole : `${whole}/${bits}`;
}

const masks = (
  parts: readonly number[],
  { width, bits }: { readonly width: number; readonly bits: number },
): readonly number[] =>
  parts.map((part, index) => {
    const kept = Math.min(width, Math.max(0, bits - index * width));
    return (part >> (width - kept)) << (width - kept);
  });

/** The eight of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [before = [], after] = hex.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const zeros = after === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...(after ?? [])].map((group) => Number.parseInt(group, 16));
}
