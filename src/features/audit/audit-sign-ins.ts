import { parseAccountName } from "../../access/account-name.ts";
import { findAccountByName, principalOf } from "../../access/accounts.ts";
import type { Credentials, VerifyPassword } from "../../access/credentials.ts";
import { envelopeOf } from "../../access/envelope.ts";
import { type Identify, isWorkload } from "../../access/identify.ts";
import { anonymous } from "../../access/principal.ts";
import type { NoteSession } from "../../access/sessions/session-note.ts";
import type { CallerNamed } from "../../access/vouched-callers.ts";
import { tokenPrefixOf } from "../../access/tokens/token-prefixes.ts";
import type { Database } from "../../platform/database/database.ts";
import type { NoteQueue } from "./note-queue.ts";

/** Who sends a password with every request signs in all the time. */
const acceptedWindowMs = 15 * 60_000;
export const refusedWindowMs = 60_000;

/** Checks passwords as before, and has it remembered how that ended. */
export const auditSignIns =
  (verifyPassword: VerifyPassword, database: Database, queue: Pick<NoteQueue, "add">): VerifyPassword =>
  async (credentials) => {
    const verified = await verifyPassword(credentials);
    const { remoteAddress } = credentials;
    if (verified.kind === "account") {
      const { id } = verified.account;
      queue.add({
        action: "sign-in",
        outcome: "done",
        by: envelopeOf({ principal: principalOf(verified.account) }, credentials),
        source: `sign-in ${id} ${remoteAddress}`,
        windowMs: acceptedWindowMs,
      });
    } else {
      const refused = (target?: string): void =>
        queue.add({
          action: "sign-in",
          outcome: "refused",
          by: envelopeOf(anonymous, credentials),
          target,
          source: `sign-in refused ${remoteAddress} ${target ?? ""}`,
          windowMs: refusedWindowMs,
        });
      // Nobody waits for it.
      void knownName(database, credentials).then(refused, () => refused());
    }
    return verified;
  };

/** The same of those who show a personal token, a robot's secret or another issuer's token in place of a password. */
export const auditTokens =
  (identify: Identify, queue: Pick<NoteQueue, "add">): Identify =>
  async (shown) => {
    const identified = await identify(shown);
    const isOthers = shown.once === true || isWorkload(shown.name, shown.password);
    if (!isOthers && tokenPrefixOf(shown.password) === undefined) return identified;
    const { remoteAddress } = shown;
    if (identified.kind === "caller") {
      const by = envelopeOf(identified.caller, shown);
      const source = `sign-in ${by.actor.tokenId ?? by.actor.id} ${remoteAddress}`;
      queue.add({ action: "sign-in", outcome: "done", by, source, windowMs: acceptedWindowMs });
    } else {
      const by = envelopeOf(anonymous, shown);
      const why = identified.kind === "refused" ? identified.why : undefined;
      const source = `token-refused ${why ?? "secret"} ${remoteAddress}`;
      const refused = { action: "token-refused", outcome: "refused", by, source, windowMs: refusedWindowMs } as const;
      queue.add({ ...refused, ...(why !== undefined && { detail: { why } }) });
    }
    return identified;
  };

/** The same of those whom a proxy vouches for. */
export const auditVouched =
  (callerNamed: CallerNamed, queue: Pick<NoteQueue, "add">): CallerNamed =>
  async (named, asking) => {
    const caller = await callerNamed(named, asking);
    const { remoteAddress } = asking;
    const by = envelopeOf(caller ?? anonymous, asking);
    queue.add({
      action: "sign-in",
      outcome: caller === undefined ? "refused" : "done",
      by,
      source: `vouched ${caller === undefined ? "refused" : by.actor.id} ${remoteAddress}`,
      windowMs: caller === undefined ? refusedWindowMs : acceptedWindowMs,
    });
    return caller;
  };

/** Has it remembered who has begun a session, or was not let in, and by which source. */
export const auditSessions =
  (queue: Pick<NoteQueue, "add">): NoteSession =>
  (note) => {
    const { source, account, remoteAddress } = note;
    const who = account === undefined ? anonymous : { principal: principalOf(account) };
    queue.add({
      action: "sign-in",
      outcome: account === undefined ? "refused" : "done",
      by: envelopeOf(who, note),
      detail: { by: "session", ...(source !== undefined && { source }) },
      source: `sign-in session ${source ?? ""} ${account?.id ?? ""} ${remoteAddress}`,
      windowMs: account === undefined ? refusedWindowMs : acceptedWindowMs,
    });
  };

/** What people type into the name field by mistake is often their password: a name is kept where somebody has it. */
async function knownName(database: Database, { name }: Credentials): Promise<string | undefined> {
  const parsed = parseAccountName(name);
  return parsed && (await findAccountByName(database, parsed))?.name;
}
