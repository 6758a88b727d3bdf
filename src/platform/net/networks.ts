import { BlockList, isIP, isIPv4 } from "node:net";

/** Some addresses. An IPv4 address inside an IPv6 one (`::ffff:10.0.0.1`) is that IPv4 address. */
export interface Networks {
  /** Of what is no address, nothing has it. */
  has(address: string): boolean;
}

interface Network {
  readonly address: string;
  readonly bits: number;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address; `undefined` for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = "", bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const most = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? most : Number(bits);
  return prefix > most ? undefined : { address, bits: prefix };
}

/** @throws Error for a text that `parseNetwork` does not know */
export function openNetworks(texts: readonly string[]): Networks {
  const list = new BlockList();
  for (const text of texts) {
    const network = parseNetwork(text);
    if (network === undefined) throw new Error(`${text} is no network`);
    list.addSubnet(network.address, network.bits, versionOf(network.address));
  }
  return {
    has(given) {
      const [address = ""] = given.split("%", 1);
      return isIP(address) !== 0 && list.check(address, versionOf(address));
    },
  };
}

const versionOf = (address: string): "ipv4" | "ipv6" => (isIPv4(address) ? "ipv4" : "ipv6");
