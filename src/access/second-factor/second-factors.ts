import { createHmac, type KeyObject, randomBytes } from "node:crypto";
import { fail } from "../../oci/problem.ts";
import type { Database, Writer } from "../../platform/database/database.ts";
import { type RecordingWriter, recordEvents } from "../../platform/events/record-events.ts";
import type { Account } from "../accounts.ts";
import { canonicalName } from "../account-name.ts";
import { endRefreshTokens } from "../end-refresh-tokens.ts";
import type { GuessesUnderWay } from "../guesses-under-way.ts";
import { seal, unseal } from "../sealed-text.ts";
import { type Attempt, mostFailuresOfPair, mostFailuresOfProven, type SignInFailures } from "../sign-in-failures.ts";
import { base32, stepOf } from "./totp.ts";

export interface SecondFactorsDeps {
  readonly database: Database;
  /** Of what codes are made of, and of recovery codes' hashes. */
  readonly key: KeyObject;
  readonly failures: SignInFailures;
  readonly guesses: GuessesUnderWay;
  readonly now: () => number;
}

/** One-time codes of accounts that have said so (RFC 6238), and codes on paper for when the device is gone. */
export interface SecondFactors {
  /**
   * Makes a new secret, which does not count before it is confirmed. @returns it in base32, this once
   * @throws RegistryError CONFLICT where there is one that counts
   */
  enrol(tx: Writer, account: Account): Promise<string>;
  /**
   * With the first code it counts, and everything that was issued before is void. @returns recovery codes, this once
   * @throws RegistryError CONFLICT, INPUT_INVALID
   */
  confirm(tx: RecordingWriter, account: Account, code: string): Promise<readonly string[]>;
  /**
   * Whether a code is good; each is once. A wrong one is counted as a wrong password is.
   * @throws RegistryError TOO_MANY_REQUESTS
   */
  use(account: Account, code: string, remoteAddress: string): Promise<boolean>;
}

const secretBytes = 20;
const recoveryCodes = 10;
const recoveryBytes = 8;
const retryAfterSeconds = 1;

export function createSecondFactors(deps: SecondFactorsDeps): SecondFactors {
  const { database, key, now } = deps;
  const hashOf = (accountId: string, code: string): string =>
    createHmac("sha256", key).update(`${accountId} ${code}`).digest("base64url");
  const secretOf = async (reader: Writer, { id }: Account) => {
    const row = await reader.selectFrom("second_factors").selectAll().where("account_id", "=", id).executeTakeFirst();
    const text = row && unseal(key, id, row.sealed_secret);
    return row === undefined || text === undefined
      ? undefined
      : { secret: Buffer.from(text, "base64url"), lastStep: row.last_step };
  };
  /** Two that bring the same code at once come one after the other, and the second finds it used. */
  const takeCode = async (tx: Writer, account: Account, code: string): Promise<boolean> => {
    const found = await secretOf(tx, account);
    const step = found && stepOf(found.secret, { code, now: now(), lastStep: found.lastStep });
    if (step === undefined) return false;
    const taken = await tx
      .updateTable("second_factors")
      .set({ last_step: step })
      .where("account_id", "=", account.id)
      .where("last_step", "<", step)
      .returning("account_id")
      .execute();
    return taken.length === 1;
  };

  return {
    async enrol(tx, { id }) {
      await requireNone(tx, id);
      const secret = randomBytes(secretBytes);
      const row = { sealed_secret: seal(key, id, secret.toString("base64url")), last_step: 0 };
      await tx
        .insertInto("second_factors")
        .values({ account_id: id, ...row })
        .onConflict((conflict) => conflict.column("account_id").doUpdateSet(row))
        .execute();
      return base32(secret);
    },
    async confirm(tx, account, code) {
      if ((await secretOf(tx, account)) === undefined) fail({ code: "CONFLICT", reasons: ["ask for a secret first"] });
      if (!(await takeCode(tx, account, code))) {
        fail({ code: "INPUT_INVALID", faults: [{ at: "code", reason: "it is not the code of now" }] });
      }
      const codes = await makeRecoveryCodes(tx, account, (one) => hashOf(account.id, one));
      await switchTo(tx, account, true);
      return codes;
    },
    use: (account, code, remoteAddress) =>
      withinLimits(deps, { name: canonicalName(account.name), remoteAddress, proven: account.id }, () =>
        database.write(
          async (tx) =>
            (await takeCode(tx, account, code)) ||
            takeRecovery(tx, account.id, hashOf(account.id, canonicalCode(code))),
        ),
      ),
  };
}

/** Whoever confirms one at the same time waits, or has done so: it is not exchanged for another behind them. */
async function requireNone(tx: Writer, accountId: string): Promise<void> {
  const open = await tx
    .updateTable("accounts")
    .set({ second_factor: 0 })
    .where("id", "=", accountId)
    .where("second_factor", "=", 0)
    .returning("id")
    .execute();
  if (open.length === 0) fail({ code: "CONFLICT", reasons: ["there is a second factor: take it away first"] });
}

/** Takes it away, and needs no key for that. `false`: there was none that counted. */
export async function removeSecondFactor(tx: RecordingWriter, account: Pick<Account, "id" | "name">): Promise<boolean> {
  for (const table of ["second_factors", "recovery_codes"] as const) {
    await tx.deleteFrom(table).where("account_id", "=", account.id).execute();
  }
  return switchTo(tx, account, false);
}

async function takeRecovery(tx: Writer, accountId: string, hash: string): Promise<boolean> {
  const taken = await tx
    .deleteFrom("recovery_codes")
    .where("account_id", "=", accountId)
    .where("code_hash", "=", hash)
    .returning("account_id")
    .execute();
  return taken.length === 1;
}

async function makeRecoveryCodes(
  tx: Writer,
  { id }: Account,
  hashOf: (code: string) => string,
): Promise<readonly string[]> {
  const codes = Array.from({ length: recoveryCodes }, () => recoveryCode(randomBytes(recoveryBytes)));
  await tx.deleteFrom("recovery_codes").where("account_id", "=", id).execute();
  const rows = codes.map((code) => ({ account_id: id, code_hash: hashOf(canonicalCode(code)) }));
  await tx.insertInto("recovery_codes").values(rows).execute();
  return codes;
}

/** As its reader types it. */
const canonicalCode = (code: string): string => code.toUpperCase().replaceAll(/[\s-]/g, "");

function recoveryCode(bytes: Uint8Array): string {
  const text = base32(bytes).slice(0, 12);
  return [text.slice(0, 4), text.slice(4, 8), text.slice(8)].join("-").toLowerCase();
}

/** What was issued while it was otherwise is void. */
async function switchTo(
  tx: RecordingWriter,
  { id, name }: Pick<Account, "id" | "name">,
  on: boolean,
): Promise<boolean> {
  const changed = await tx
    .updateTable("accounts")
    .set((eb) => ({ second_factor: on ? 1 : 0, epoch: eb("epoch", "+", 1), revision: eb("revision", "+", 1) }))
    .where("id", "=", id)
    .where("second_factor", "=", on ? 0 : 1)
    .returning(["id", "name"])
    .execute();
  if (changed.length === 0) return false;
  await endRefreshTokens(tx, changed, "second-factor-changed");
  const told = { kind: "access-changed", action: "account-changed", target: { id, name } } as const;
  recordEvents(tx, { ...told, before: { secondFactor: !on }, after: { secondFactor: on } });
  return true;
}

/**
 * Codes are few enough to be tried out: guesses under way count, and failures with those of passwords. Who tries has the
 * password, so that those from all networks count together too.
 */
async function withinLimits(
  { failures, guesses }: SecondFactorsDeps,
  attempt: Attempt,
  isGood: () => Promise<boolean>,
): Promise<boolean> {
  const { pair, proven = pair } = failures.namesOf(attempt);
  return underWay(guesses, pair, (ofPair) =>
    underWay(guesses, proven, async (ofAll) => {
      const { pairFailures, provenFailures, blockedForSeconds } = await failures.count(attempt);
      const isFull = pairFailures + ofPair >= mostFailuresOfPair || provenFailures + ofAll >= mostFailuresOfProven;
      if (blockedForSeconds > 0 || isFull) {
        const reason = "too many failed sign-ins";
        fail({ code: "TOO_MANY_REQUESTS", reason, retryAfterSeconds: blockedForSeconds || retryAfterSeconds });
      }
      const good = await isGood();
      if (!good) await failures.record(attempt);
      else if (pairFailures > 0) await failures.clear(attempt);
      return good;
    }),
  );
}

/** @param work is told how many others there are */
async function underWay<T>(
  guesses: GuessesUnderWay,
  counter: string,
  work: (others: number) => Promise<T>,
): Promise<T> {
  const others = await guesses.enter(counter);
  try {
    return await work(others);
  } finally {
    await guesses.leave(counter);
  }
}
