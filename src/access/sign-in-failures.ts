import { createHmac, type KeyObject } from "node:crypto";
import { sql } from "kysely";
import type { Database, Writer } from "../platform/database/database.ts";
import { prepared } from "../platform/database/prepared.ts";
import { networkOf } from "./network.ts";
import type { FailuresRow } from "./tables.ts";

export interface Attempt {
  /** As `canonicalName` spells it; it need not be the name of an account. */
  readonly name: string;
  readonly remoteAddress: string;
}

/**
 * Wrong passwords, counted by account and network, and by network. Never by account alone: that would let anyone lock
 * its owner out.
 */
export interface SignInFailures {
  /** The counter of account and network, as a name, and that of the network. */
  namesOf(attempt: Attempt): CounterNames;
  count(attempt: Attempt): Promise<Counted>;
  /** What these rows say, of all that bear an attempt's names and have not expired. */
  judge(names: CounterNames, rows: readonly FailuresRow[]): Counted;
  record(attempt: Attempt): Promise<void>;
  /** After the right password; the network's count stays. */
  clear(attempt: Attempt): Promise<void>;
}

export interface CounterNames {
  readonly pair: string;
  readonly network: string;
}

export interface Counted {
  readonly pairFailures: number;
  /** 0 when another attempt may be made. */
  readonly blockedForSeconds: number;
}

export const mostFailuresOfPair = 10;
export const mostFailuresOfNetwork = 50;
const windowMs = 15 * 60_000;
/** An attacker with many addresses makes many rows; the oldest give way. */
const mostRowsByDefault = 100_000;
const recordsBetweenTrims = 64;

export interface SignInFailuresDeps {
  readonly database: Database;
  /** Key of the hashes under which names are stored. */
  readonly key: KeyObject;
  readonly now: () => number;
  readonly mostRows?: number;
}

const counters = prepared((read, given: { readonly pair: string; readonly network: string; readonly now: number }) =>
  read
    .selectFrom("login_failures")
    .selectAll()
    .where("key", "in", [given.pair, given.network])
    .where("expires_at", ">", given.now),
);

export function createSignInFailures({ database, key, now, mostRows }: SignInFailuresDeps): SignInFailures {
  const hashed = (...parts: readonly string[]): string =>
    createHmac("sha256", key).update(JSON.stringify(parts)).digest("base64url");
  const namesOf = ({ name, remoteAddress }: Attempt): CounterNames => {
    const network = networkOf(remoteAddress);
    return { pair: hashed("pair", name, network), network: hashed("network", network) };
  };
  const judge = ({ pair }: CounterNames, rows: readonly FailuresRow[]): Counted => {
    if (rows.length === 0) return none;
    const ends = rows
      .filter((row) => row.failures >= (row.key === pair ? mostFailuresOfPair : mostFailuresOfNetwork))
      .map((row) => row.expires_at);
    return {
      pairFailures: rows.find((row) => row.key === pair)?.failures ?? 0,
      blockedForSeconds: ends.length === 0 ? 0 : Math.max(1, Math.ceil((Math.max(...ends) - now()) / 1000)),
    };
  };
  let recorded = 0;
  return {
    namesOf,
    judge,
    async count(attempt) {
      const names = namesOf(attempt);
      return judge(names, await counters(database, { ...names, now: now() }));
    },
    async record(attempt) {
      const { pair, network } = namesOf(attempt);
      const keys = [pair, network].toSorted();
      const trim = recorded % recordsBetweenTrims === 0;
      recorded += 1;
      await database.write(async (tx) => {
        await dropExpired(tx, keys, now());
        for (const one of keys) await countUp(tx, one, now() + windowMs);
        if (trim) await dropOldest(tx, mostRows ?? mostRowsByDefault);
      });
    },
    async clear(attempt) {
      const { pair } = namesOf(attempt);
      await database.write((tx) => tx.deleteFrom("login_failures").where("key", "=", pair).execute());
    },
  };
}

const none: Counted = { pairFailures: 0, blockedForSeconds: 0 };

/** The window starts with the first failure and does not move. */
async function countUp(tx: Writer, key: string, expiresAt: number): Promise<void> {
  await tx
    .insertInto("login_failures")
    .values({ key, failures: 1, expires_at: expiresAt })
    .onConflict((conflict) =>
      conflict.column("key").doUpdateSet({ failures: sql<number>`login_failures.failures + 1` }),
    )
    .execute();
}

/** Two come in with each attempt, so that it is not long before none is left. */
const mostDroppedAtOnce = 500;

async function dropExpired(tx: Writer, own: readonly string[], now: number): Promise<void> {
  await tx.deleteFrom("login_failures").where("key", "in", own).where("expires_at", "<=", now).execute();
  await tx
    .deleteFrom("login_failures")
    .where("key", "in", (expression) =>
      expression.selectFrom("login_failures").select("key").where("expires_at", "<=", now).limit(mostDroppedAtOnce),
    )
    .execute();
}

async function dropOldest(tx: Writer, mostRows: number): Promise<void> {
  const { rows } = await tx
    .selectFrom("login_failures")
    .select((eb) => eb.fn.countAll<number>().as("rows"))
    .executeTakeFirstOrThrow();
  const excess = rows - mostRows;
  if (excess <= 0) return;
  await tx
    .deleteFrom("login_failures")
    .where("key", "in", (eb) =>
      eb.selectFrom("login_failures").select("key").orderBy("expires_at").orderBy("key").limit(excess),
    )
    .execute();
}
