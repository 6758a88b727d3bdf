import type { Database, Dialect, Tables, Writer } from "../platform/database/database.ts";
import { dropOldest } from "../platform/database/drop-oldest.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import type { Envelope } from "../platform/events/access-event.ts";
import { recordEvents, type RecordingWriter, writeEvents } from "../platform/events/record-events.ts";
import { type Account, findAccountById } from "./accounts.ts";
import { endedToken } from "./end-refresh-tokens.ts";
import { hashOfToken, makeOpaqueToken, matchesHash, parseOpaqueToken } from "./opaque-token.ts";

/** What `docker login` keeps instead of a password: good for access tokens alone, and for one service. */
export interface RefreshTokens {
  /** The text is shown this once; `undefined` where what the account was known by has been changed since. */
  issue(account: Pick<Account, "id" | "name" | "epoch">, by: Envelope): Promise<string | undefined>;
  /** The account, as it is now; `undefined` when the token is unknown, idle for too long, or void since. */
  use(text: string): Promise<Account | undefined>;
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
    async issue({ id: accountId, name, epoch }, by) {
      const token = makeOpaqueToken(prefix);
      const createdAt = now();
      const row = {
        id: token.id,
        secret_hash: hashOfToken(token),
        account_id: accountId,
        account_epoch: epoch,
        service,
        created_at: createdAt,
        last_used_at: createdAt,
        expires_at: createdAt + idleForMs,
      };
      const isIssued = await writeEvents(database, (tx) => insert(tx, database.dialect, { row, name }), by);
      return isIssued ? token.text : undefined;
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
  };
}

interface NewToken {
  readonly row: Tables["refresh_tokens"];
  /** Of its account. */
  readonly name: string;
}

/** `false`: the account is no longer what it was. */
async function insert(tx: RecordingWriter, dialect: Dialect, { row, name }: NewToken): Promise<boolean> {
  const { id, account_id: accountId, created_at: createdAt, expires_at: expiresAt } = row;
  if ((await currentEpoch(tx, dialect, accountId)) !== row.account_epoch) return false;
  await tx.deleteFrom("refresh_tokens").where("expires_at", "<=", createdAt).execute();
  await tx.insertInto("refresh_tokens").values(row).execute();
  const made = { action: "refresh-token-created", target: { id, name }, after: { expiresAt } } as const;
  recordEvents(tx, { kind: "access-changed", ...made });
  const kept = { table: "refresh_tokens", column: "account_id", value: accountId, most: mostOfAccount };
  const gone = await dropOldest(tx, kept);
  recordEvents(tx, ...gone.map((dropped) => endedToken({ id: dropped, name }, "newer-ones")));
  return true;
}

/** Until the transaction ends: what changes it ends the account's refresh tokens, and must find this one too. */
async function currentEpoch(tx: Writer, dialect: Dialect, id: string): Promise<number | undefined> {
  await lockRows(tx, dialect, { table: "accounts", column: "id", values: [id], against: "everyone" });
  const row = await tx.selectFrom("accounts").select("epoch").where("id", "=", id).executeTakeFirst();
  return row?.epoch;
}
