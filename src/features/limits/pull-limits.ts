import type { Principal } from "../../access/principal.ts";
import type { PullStanding } from "../../oci/problem.ts";
import { networkOf, type PrefixBits } from "../../platform/net/network-of.ts";
import type { PullCounts, Taken } from "./pull-counts.ts";

export interface PullLimitSettings extends PrefixBits {
  /** Of each of them; absent: as many as they like. */
  readonly anonymous?: number | undefined;
  readonly account?: number | undefined;
  readonly robot?: number | undefined;
  readonly windowSeconds: number;
  readonly plans?: readonly Plan[] | undefined;
}

interface Plan {
  readonly pulls?: number | undefined;
  /** Names of accounts and robots, which no two of them share. */
  readonly members: readonly string[];
}

/** How somebody stands who has a limit. */
export type Standing = PullStanding & Taken;

interface Puller {
  readonly principal: Principal;
  readonly remoteAddress: string;
  /** Whether this is a pull; else it is only told how they stand. */
  readonly counts: boolean;
}

/** `undefined` for who may pull as often as they like. What need not wait is no promise. */
export type PullLimits = (puller: Puller) => Promise<Standing> | Standing | undefined;

/** Networks of addresses, which take 2 us to find out and are asked for again and again. */
const mostNetworks = 10_000;

export function pullLimits(settings: PullLimitSettings, counts: Pick<PullCounts, "take">): PullLimits {
  const { windowSeconds, account, robot } = settings;
  const ofMembers = new Map(
    (settings.plans ?? []).flatMap(({ pulls, members }) => members.map((name) => [name, pulls] as const)),
  );
  const networks = new Map<string, string>();
  const networkOfAddress = (address: string): string => {
    const known = networks.get(address);
    if (known !== undefined) return known;
    if (networks.size >= mostNetworks) networks.clear();
    const network = networkOf(address, settings);
    networks.set(address, network);
    return network;
  };
  const limitOf = (principal: Exclude<Principal, { readonly kind: "anonymous" }>): number | undefined =>
    ofMembers.has(principal.name) ? ofMembers.get(principal.name) : principal.kind === "robot" ? robot : account;
  return ({ principal, remoteAddress, counts: isPull }) => {
    const { kind } = principal;
    const limit = kind === "anonymous" ? settings.anonymous : limitOf(principal);
    if (limit === undefined) return undefined;
    const source = kind === "anonymous" ? networkOfAddress(remoteAddress) : principal.name;
    const isMoreSignedIn = kind === "anonymous" && (account === undefined || account > limit);
    const told = { kind, limit, windowSeconds, source, isMoreSignedIn };
    const taken = counts.take(`${kind} ${kind === "anonymous" ? source : principal.id}`, { limit, counts: isPull });
    return taken instanceof Promise ? taken.then((one) => ({ ...told, ...one })) : { ...told, ...taken };
  };
}
