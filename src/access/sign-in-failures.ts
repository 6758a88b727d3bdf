import { createHmac, type KeyObject } from "node:crypto";
import { sql } from "kysely";
import type { Database, Writer } from "../platform/database/database.ts";
import { type Given, prepared } from "../platform/database/prepared.ts";
import { networkOf } from "./network.ts";
import type { FailuresRow } from "./tables.ts";

export interface Attempt {
  /** As `canonicalName` spells it; it need not be the name of an account. */
  readonly name: string;
  readonly remoteAddress: string;
  /** The id of an account whose password is right, where that is not enough. */
  readonly proven?: string;
}

/**
 * Wrong passwords, counted by account and network, and by network. By account alone only what comes behind its right
 * password: else anyone could lock its owner out.
 */
export interface SignInFailures {
  /** The counter of account and network, as a name, that of the network, and that of the account wherever it is tried. */
  namesOf(attempt: Attempt): CounterNames;
  count(attempt: Attempt): Promise<Counted>;
  /** What these rows say, of all that bear an attempt's names; those that have expired say nothing. */
  judge(names: CounterNames, rows: readonly FailuresRow[]): Counted;
  record(attempt: Attempt): Promise<void>;
  /** After what was right; the counts of the network, and of the account wherever it is tried, stay. */
  clear(attempt: Attempt): Promise<void>;
}

export interface CounterNames {
  readonly pair: string;
  readonly network: string;
  readonly proven?: string;
}

export interface Counted {
  readonly pairFailures: number;
  /** Of the account's right password, from all networks. */
  readonly provenFailures: number;
  /** 0 when another attempt may be made. */
  readonly blockedForSeconds: number;
}

export const mostFailuresOfPair = 10;
export const mostFailuresOfNetwork = 50;
/** A code has six digits, and somebody who holds very many networks could try them all out else. */
export const mostFailuresOfProven = 30;
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

interface Counters extends Given {
  readonly pair: string;
  readonly network: string;
  readonly proven: string;
  readonly now: number;
}

const counters = prepared((read, { pair, network, proven, now }: Counters) =>
  read
    .selectFrom("login_failures")
    .selectAll()
    .where("key", "in", [pair, network, proven])
    .where("expires_at", ">", now),
);

export function createSignInFailures({ database, key, now, mostRows }: SignInFailuresDeps): SignInFailures {
  const hashed = (...parts: readonly string[]): string =>
    createHmac("sha256", key).update(JSON.stringify(parts)).digest("base64url");
  const namesOf = ({ name, remoteAddress, proven }: Attempt): CounterNames => {
    const network = networkOf(remoteAddress);
    return {
      pair: hashed("pair", name, network),
      network: hashed("network", network),
      ...(proven !== undefined && { proven: hashed("proven", proven) }),
    };
  };
  const judge = ({ pair, proven }: CounterNames, all: readonly FailuresRow[]): Counted => {
    if (all.length === 0) return none;
    const at = now();
    const rows = all.filter((row) => row.expires_at > at);
    const mostOf = new Map([
      [pair, mostFailuresOfPair],
      ...(proven === undefined ? [] : [[proven, mostFailuresOfProven] as const]),
    ]);
    const ends = rows
      .filter((row) => row.failures >= (mostOf.get(row.key) ?? mostFailuresOfNetwork))
      .map((row) => row.expires_at);
    const failuresOf = (counter: string | undefined): number => rows.find((row) => row.key === counter)?.failures ?? 0;
    return {
      pairFailures: failuresOf(pair),
      provenFailures: failuresOf(proven),
      blockedForSeconds: ends.length === 0 ? 0 : Math.max(1, Math.ceil((Math.max(...ends) - at) / 1000)),
    };
  };
  let recorded = 0;
  return {
    namesOf,
    judge,
    async count(attempt) {
      const names = namesOf(attempt);
      return judge(names, await counters(database, { ...names, proven: names.proven ?? names.pair, now: now() }));
    },
    async record(attempt) {
      const keys = Object.values(namesOf(attempt)).toSorted(byText);
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

const byText = (one: string, other: string): number => (one < other ? -1 : 1);

const none: Counted = { pairFailures: 0, provenFailures: 0, blockedForSeconds: 0 };

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

/** Two or three come in with each attempt, so that it is not long before none is left. */
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
