import type { Database } from "../platform/database/database.ts";
import { dropOldest } from "../platform/database/drop-oldest.ts";
import { type Account, findAccountById } from "./accounts.ts";
import { hashOfToken, makeOpaqueToken, matchesHash, parseOpaqueToken } from "./opaque-token.ts";

/** What `docker login` keeps instead of a password: good for access tokens alone, and for one service. */
export interface RefreshTokens {
  /** The text is shown this once. */
  issue(account: Pick<Account, "id" | "epoch">): Promise<string>;
  /** The account, as it is now; `undefined` when the token is unknown, idle for too long, or void since. */
  use(text: string): Promise<Account | undefined>;
  revokeAll(accountId: string): Promise<void>;
}

export interface RefreshTokensDeps {
  readonly database: Database;
  readonly service: string;
  readonly now: () => number;
}

const prefix = "berth_rt";
const idleForMs = 30 * 24 * 60 * 60_000;
/** A use is written down once an hour at most: a client may come back every minute. */
const touchedAfterMs = 60 * 60_000;
/** Every `docker login` leaves one behind; the oldest give way. */
const mostOfAccount = 100;

export function createRefreshTokens({ database, service, now }: RefreshTokensDeps): RefreshTokens {
  const touch = async (id: string): Promise<void> => {
    const usedAt = now();
    await database.write((tx) =>
      tx
        .updateTable("refresh_tokens")
        .set({ last_used_at: usedAt, expires_at: usedAt + idleForMs })
        .where("id", "=", id)
        .execute(),
    );
  };
  return {
    async issue(account) {
      const token = makeOpaqueToken(prefix);
      const createdAt = now();
      const row = {
        id: token.id,
        secret_hash: hashOfToken(token),
        account_id: account.id,
        account_epoch: account.epoch,
        service,
        created_at: createdAt,
        last_used_at: createdAt,
        expires_at: createdAt + idleForMs,
      };
      await database.write(async (tx) => {
        await tx.deleteFrom("refresh_tokens").where("expires_at", "<=", createdAt).execute();
        await tx.insertInto("refresh_tokens").values(row).execute();
        await dropOldest(tx, { table: "refresh_tokens", column: "account_id", value: account.id, most: mostOfAccount });
      });
      return token.text;
    },
    async use(text) {
      const token = parseOpaqueToken(prefix, text);
      if (token === undefined) return undefined;
      const row = await database.read
        .selectFrom("refresh_tokens")
        .selectAll()
        .where("id", "=", token.id)
        .executeTakeFirst();
      if (row === undefined || !matchesHash(token, row.secret_hash)) return undefined;
      if (row.service !== service || row.expires_at <= now()) return undefined;
      const account = await findAccountById(database, row.account_id);
      if (account === undefined || account.disabled || account.epoch !== row.account_epoch) return undefined;
      if (now() - row.last_used_at >= touchedAfterMs) await touch(row.id);
      return account;
    },
    async revokeAll(accountId) {
      await database.write((tx) => tx.deleteFrom("refresh_tokens").where("account_id", "=", accountId).execute());
    },
  };
}
