import type { Database, Writer } from "../../platform/database/database.ts";
import { dropOldest } from "../../platform/database/drop-oldest.ts";
import { type Account, findAccountById } from "../accounts.ts";
import { hashOfToken, makeOpaqueToken, matchesHash, parseOpaqueToken } from "../opaque-token.ts";

export interface SessionSettings {
  /** How long a session lives without anything that its account does. */
  readonly idleMs: number;
  /** How long it lives at most. */
  readonly longestMs: number;
}

export interface StartedSession {
  /** Shown this once. */
  readonly secret: string;
  readonly expiresAt: number;
}

export interface FoundSession {
  readonly account: Account;
  readonly expiresAt: number;
}

/** Signed in with a cookie. A session ends with its account's epoch, as everything does that was issued before. */
export interface Sessions {
  readonly settings: SessionSettings;
  begin(account: Account): Promise<StartedSession>;
  /**
   * The account, as it is now; `undefined`: unknown, ended, or void since.
   * @param isAsked whether a person has asked, and not a page by itself
   */
  use(secret: string, isAsked: boolean): Promise<FoundSession | undefined>;
  /** One that is over is success. */
  end(secret: string): Promise<void>;
}

export interface SessionsDeps {
  readonly database: Database;
  readonly settings: SessionSettings;
  readonly now: () => number;
}

const prefix = "berth_session";
const touchedAfterMs = 60_000;
/** Browsers are closed without a sign-out; the oldest give way. */
const mostOfAccount = 100;

export function createSessions({ database, settings, now }: SessionsDeps): Sessions {
  const { idleMs, longestMs } = settings;
  const touch = async (id: string): Promise<void> => {
    const activeAt = now();
    const touched = (tx: Writer) =>
      tx.updateTable("sessions").set({ active_at: activeAt }).where("id", "=", id).execute();
    await database.write(touched, { survives: "process" });
  };
  const find = async (secret: string) => {
    const token = parseOpaqueToken(prefix, secret);
    if (token === undefined) return undefined;
    const row = await database.read.selectFrom("sessions").selectAll().where("id", "=", token.id).executeTakeFirst();
    return row !== undefined && matchesHash(token, row.secret_hash) ? row : undefined;
  };
  return {
    settings,
    async begin(account) {
      const token = makeOpaqueToken(prefix);
      const createdAt = now();
      const row = {
        id: token.id,
        secret_hash: hashOfToken(token),
        account_id: account.id,
        account_epoch: account.epoch,
        created_at: createdAt,
        active_at: createdAt,
        expires_at: createdAt + longestMs,
      };
      await database.write(async (tx) => {
        await tx.deleteFrom("sessions").where("expires_at", "<=", createdAt).execute();
        await tx.insertInto("sessions").values(row).execute();
        await dropOldest(tx, { table: "sessions", column: "account_id", value: account.id, most: mostOfAccount });
      });
      return { secret: token.text, expiresAt: row.expires_at };
    },
    async use(secret, isAsked) {
      const row = await find(secret);
      if (row === undefined || row.expires_at <= now() || row.active_at + idleMs <= now()) return undefined;
      const account = await findAccountById(database, row.account_id);
      if (account === undefined || account.disabled || account.epoch !== row.account_epoch) return undefined;
      if (isAsked && now() - row.active_at >= Math.min(touchedAfterMs, idleMs / 10)) await touch(row.id);
      return { account, expiresAt: row.expires_at };
    },
    async end(secret) {
      const row = await find(secret);
      if (row !== undefined) await database.write((tx) => tx.deleteFrom("sessions").where("id", "=", row.id).execute());
    },
  };
}
