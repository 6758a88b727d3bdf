import { guessesUnderWay } from "../../src/access/guesses-under-way.ts";
import { createSecretKey, type KeyObject } from "node:crypto";
import { type Access, openAccess } from "../../src/access/open-access.ts";
import { parseAccountName } from "../../src/access/account-name.ts";
import { type Account, createAccount, findAccountByName } from "../../src/access/accounts.ts";
import { createDeviceSignIns, type DeviceSignIns } from "../../src/access/device/device-sign-ins.ts";
import type { Policy } from "../../src/access/authorize.ts";
import { type AccessChange, changeAccess, type Changer } from "../../src/access/change-access.ts";
import type { Database } from "../../src/platform/database/database.ts";
import type { Source } from "../../src/access/sources/source.ts";
import { type BrowserSources, openBrowserSources } from "../../src/access/sources/browser-sources.ts";
import type { SourceOutcome } from "../../src/access/sources/guarded-source.ts";
import { openSources, type Sources } from "../../src/access/sources/sources.ts";
import { openIssuers } from "../../src/access/workload/issuers.ts";
import { openWorkload } from "../../src/access/workload/workload.ts";
import type { ListedIssuer } from "../../src/platform/config/issuer-schema.ts";
import type { Log } from "../../src/platform/telemetry/log.ts";
import { createPasswords, type Passwords } from "../../src/platform/passwords/passwords.ts";

/** A clock that a test moves on. */
export interface TestClock {
  now: () => number;
  advance(milliseconds: number): void;
}

export function testClock(): TestClock {
  let time = Date.now();
  return {
    now: () => time,
    advance(milliseconds) {
      time += milliseconds;
    },
  };
}

/** Counts the hashes, which are what sign-in costs. */
export interface CountedPasswords extends Passwords {
  readonly verified: () => number;
}

/** The same algorithm at the least it can cost: most tests are about other things than the time it takes. */
const cheapPasswords: Passwords = {
  hash: (password) => Bun.password.hash(password, { algorithm: "argon2id", memoryCost: 8, timeCost: 1 }),
  verify: (password, hash) => Bun.password.verify(password, hash),
};

export const realPasswords = (): Passwords => createPasswords({ concurrent: 4, waiting: 100 });

export function countedPasswords(passwords: Passwords = cheapPasswords): CountedPasswords {
  let count = 0;
  return {
    hash: (password) => passwords.hash(password),
    async verify(password, hash) {
      count += 1;
      return passwords.verify(password, hash);
    },
    verified: () => count,
  };
}

export const testSecret = (text = "0123456789abcdef0123456789abcdef"): KeyObject => createSecretKey(text, "utf8");
export const tokenSettings = { issuer: "berth", service: "berth", ttlSeconds: 300 };

export interface TestAccess extends Access {
  /** Changes rights, as an operator where nobody else is said to. */
  readonly change: <T>(work: (change: AccessChange) => Promise<T>, by?: Changer) => Promise<T>;
  readonly clock: TestClock;
  readonly passwords: CountedPasswords;
  readonly database: Database;
  readonly sources: Sources;
  readonly browserSources: BrowserSources;
  readonly deviceSignIns: DeviceSignIns;
  /** Why tokens were refused. */
  readonly refusals: readonly string[];
  /** What sources have said, in its order. */
  readonly answers: readonly (readonly [source: string, outcome: SourceOutcome])[];
  /** Makes an account, or replaces it by a new one of the same name. */
  readonly addAccount: (name: string, password: string, administrator?: boolean) => Promise<Account>;
}

const nothing = (): void => undefined;
const noLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  flush: nothing,
  drain: async () => undefined,
  flushSync: nothing,
};

interface TestAccessParts {
  readonly usedPasswords?: Passwords;
  readonly sources?: readonly Source[];
  /** Of workloads' tokens. */
  readonly issuers?: readonly ListedIssuer[];
}

export async function openTestAccess(
  database: Database,
  mode: Policy["mode"] = "standard",
  { usedPasswords = cheapPasswords, sources = [], issuers: listed = [] }: TestAccessParts = {},
): Promise<TestAccess> {
  const clock = testClock();
  const passwords = countedPasswords(usedPasswords);
  const answers: [string, SourceOutcome][] = [];
  const refusals: string[] = [];
  const count = (source: string, outcome: SourceOutcome): void => void answers.push([source, outcome]);
  const asking = { database, log: noLog, now: clock.now, count };
  const opened = openSources(sources, asking);
  const access = await openAccess({
    database,
    passwords,
    secret: testSecret(),
    policy: { mode },
    guesses: guessesUnderWay(),
    sources: opened,
    tokenRefused: (reason) => void refusals.push(reason),
    workload: openWorkload({
      database,
      issuers: openIssuers({ listed, log: noLog, now: clock.now }),
      now: clock.now,
    }),
    tokenSettings,
    sessionSettings: { idleMs: 3_600_000, longestMs: 12 * 3_600_000 },
    now: clock.now,
  });
  return {
    ...access,
    change: (work, by = "operator") => changeAccess({ database, now: clock.now }, by, work),
    clock,
    passwords,
    database,
    sources: opened,
    browserSources: openBrowserSources(
      sources.filter((source) => source.kind === "browser"),
      asking,
    ),
    deviceSignIns: createDeviceSignIns({ database, failures: access.failures, now: clock.now }),
    refusals,
    answers,
    async addAccount(text, password, administrator = false) {
      const name = parseAccountName(text);
      if (name === undefined) throw new Error(`not an account name: ${text}`);
      const passwordHash = await passwords.hash(password);
      const account = { name, passwordHash, administrator, createdAt: clock.now() };
      if (!(await database.write((tx) => createAccount(tx, account)))) throw new Error(`${text} exists`);
      const made = await findAccountByName(database, name);
      if (made === undefined) throw new Error(`${text} was not made`);
      return made;
    },
  };
}

/** The first problem a call was refused with; a call that succeeds fails the test. */
export async function problemOf(call: Promise<unknown>): Promise<unknown> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof Error && "problems" in outcome && Array.isArray(outcome.problems)) return outcome.problems[0];
  throw new Error(`not refused with a problem: ${String(outcome)}`);
}
