import { inChunks } from "../platform/database/in-chunks.ts";
import type { AccessEvent } from "../platform/events/access-event.ts";
import { recordEvents, type RecordingWriter } from "../platform/events/record-events.ts";

/** Why a refresh token is good no more, but for those that nobody has used for too long. */
type End =
  | "password-changed"
  | "second-factor-changed"
  | "account-disabled"
  | "account-enabled"
  | "account-suspended"
  | "account-deleted"
  | "newer-ones";

interface Named {
  readonly id: string;
  readonly name: string;
}

/** Of accounts whose row the transaction has locked by changing it: nobody adds one until it is over. */
export async function endRefreshTokens(tx: RecordingWriter, accounts: readonly Named[], because: End): Promise<void> {
  for (const some of inChunks(accounts)) {
    const names = new Map(some.map(({ id, name }) => [id, name]));
    const ended = await tx
      .deleteFrom("refresh_tokens")
      .where("account_id", "in", [...names.keys()])
      .returning(["id", "account_id"])
      .execute();
    recordEvents(
      tx,
      ...ended.map(({ id, account_id }) => endedToken({ id, name: names.get(account_id) ?? "" }, because)),
    );
  }
}

/** The token goes by the name of its account: it has none of its own. */
export const endedToken = (target: Named, because: End): AccessEvent => ({
  kind: "access-changed",
  action: "refresh-token-deleted",
  target,
  after: { because },
});
