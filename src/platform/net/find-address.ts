import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Networks } from "./networks.ts";
import { OutboundError } from "./outbound.ts";
import { isPublicAddress } from "./public-address.ts";

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** All addresses of a name. */
export type Resolve = (name: string) => Promise<readonly Address[]>;

export const resolveBySystem: Resolve = async (name) =>
  (await lookup(name, { all: true })).map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));

export interface Reachable {
  /** Lower case, without a dot at the end. */
  readonly hosts: ReadonlySet<string>;
  readonly networks: Networks;
}

/**
 * The addresses of a host that may be asked; the connection is made to one of these and the name is not looked up again,
 * so it cannot mean something else by then. @throws OutboundError
 */
export async function findAddresses(
  host: string,
  { hosts, networks }: Reachable,
  resolve: Resolve,
): Promise<readonly Address[]> {
  const name = host.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const version = isIP(name);
  const found: readonly Address[] =
    version === 0 ? await byName(name, resolve) : [{ address: name, family: version === 6 ? 6 : 4 }];
  if (hosts.has(name)) return found;
  const allowed = found.filter(({ address }) => isPublicAddress(address) || networks.has(address));
  if (allowed.length === 0) throw new OutboundError("address", `${name} is at an address that may not be asked`);
  return allowed;
}

async function byName(name: string, resolve: Resolve): Promise<readonly Address[]> {
  try {
    const found = await resolve(name);
    if (found.length > 0) return found;
  } catch {
    // The error's text may be anything; that there is no address says it.
  }
  throw new OutboundError("name", `${name} has no address`);
}
