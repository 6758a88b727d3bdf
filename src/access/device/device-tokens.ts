import type { Database } from "../../platform/database/database.ts";
import { writeEvents } from "../../platform/events/record-events.ts";
import { envelopeOf } from "../envelope.ts";
import { matchesHash, parseOpaqueToken } from "../opaque-token.ts";
import { createToken, type MadeToken, type TokenLimits } from "../tokens/change-tokens.ts";
import { parseDeviceScope, tokenScopesOf } from "./device-scope.ts";
import { devicePrefix } from "./device-sign-ins.ts";
import type { DeviceSignInRow } from "./tables.ts";

export type Polled =
  | { readonly kind: "granted"; readonly token: MadeToken; readonly account: string }
  | { readonly kind: "pending" | "slow-down" | "denied" | "expired" | "unknown" };

export interface Polling {
  readonly deviceCode: string;
  readonly remoteAddress: string;
  readonly requestId: string;
}

interface DeviceTokensDeps {
  readonly database: Database;
  readonly tokenLimits: TokenLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Networks deliver what was sent in time a little too early. */
const earlyMs = 500;
const slowerMs = 5000;

/** What a device that asks again is told; the personal token of whoever has let it in is made, and shown, once. */
export async function pollDevice(deps: DeviceTokensDeps, polling: Polling): Promise<Polled> {
  const { database, now } = deps;
  const code = parseOpaqueToken(devicePrefix, polling.deviceCode);
  const row =
    code &&
    (await database.read.selectFrom("device_sign_ins").selectAll().where("id", "=", code.id).executeTakeFirst());
  if (code === undefined || row === undefined || !matchesHash(code, row.secret_hash)) return { kind: "unknown" };
  if (row.expires_at <= now()) return { kind: "expired" };
  switch (row.state) {
    case "pending":
      return waitOn(deps, row);
    case "denied":
      return { kind: "denied" };
    case "approved":
      return grant(deps, row, polling);
    default:
      return row.state satisfies never;
  }
}

async function waitOn({ database, now }: DeviceTokensDeps, row: DeviceSignInRow): Promise<Polled> {
  const at = now();
  const isTooSoon = row.polled_at !== null && at - row.polled_at < row.interval_ms - earlyMs;
  const interval_ms = row.interval_ms + (isTooSoon ? slowerMs : 0);
  const touched = database.write(
    (tx) => tx.updateTable("device_sign_ins").set({ polled_at: at, interval_ms }).where("id", "=", row.id).execute(),
    { survives: "process" },
  );
  await touched;
  return { kind: isTooSoon ? "slow-down" : "pending" };
}

/** Of two polls at once, one gets the token. */
async function grant(
  { database, tokenLimits, now }: DeviceTokensDeps,
  { id, device, scope, account_id, account_epoch }: DeviceSignInRow,
  polling: Polling,
): Promise<Polled> {
  const account = await database.read
    .selectFrom("accounts")
    .select(["id", "name"])
    .where("id", "=", account_id ?? "")
    .executeTakeFirst();
  if (account === undefined) return { kind: "denied" };
  const owner = { kind: "account", ...account } as const;
  const by = { principal: owner, remoteAddress: polling.remoteAddress };
  return writeEvents(
    database,
    async (tx): Promise<Polled> => {
      const taken = await tx
        .deleteFrom("device_sign_ins")
        .where("id", "=", id)
        .where("state", "=", "approved")
        .executeTakeFirst();
      if (taken.numDeletedRows !== 1n) return { kind: "expired" };
      // As it is now: who was disabled since has let nobody in.
      const isGood = await tx
        .selectFrom("accounts")
        .select("id")
        .where("id", "=", account.id)
        .where("epoch", "=", account_epoch ?? 0)
        .where("disabled", "=", 0)
        .where("suspended", "=", 0)
        .executeTakeFirst();
      if (isGood === undefined) return { kind: "denied" };
      const scopes = tokenScopesOf(parseDeviceScope(scope) ?? "images");
      const wanted = { owner, name: device, ...(scopes && { scopes }) };
      const token = await createToken({ tx, database, by, now: now() }, tokenLimits, wanted);
      return { kind: "granted", token, account: account.name };
    },
    envelopeOf(by, polling),
  );
}
