import { fail } from "../../oci/problem.ts";
import type { Database, Writer } from "../../platform/database/database.ts";
import { dropOldest } from "../../platform/database/drop-oldest.ts";
import type { Account } from "../accounts.ts";
import { networkOf } from "../network.ts";
import { hashOfToken, makeOpaqueToken } from "../opaque-token.ts";
import type { SignInFailures } from "../sign-in-failures.ts";
import { type DeviceScope, parseDeviceScope } from "./device-scope.ts";
import type { DeviceSignInRow } from "./tables.ts";
import { makeUserCode, type UserCode } from "./user-code.ts";

export interface Device {
  readonly device: string;
  readonly scope: DeviceScope;
  readonly remoteAddress: string;
}

/** What the device is told; its own code is shown this once. */
export interface BegunDevice {
  readonly deviceCode: string;
  readonly userCode: UserCode;
  readonly expiresInSeconds: number;
  readonly intervalSeconds: number;
}

/** What somebody is shown who has its code, before they let it in. */
export interface WaitingDevice extends Pick<Device, "device" | "scope"> {
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly askedAt: number;
}

/** Who looks at a code, and from where. */
export interface Looking {
  readonly account: Pick<Account, "id" | "epoch">;
  readonly remoteAddress: string;
}

/** Devices that have no browser, and wait for somebody who has one (RFC 8628). */
export interface DeviceSignIns {
  /** @throws RegistryError TOO_MANY_REQUESTS while very many wait */
  begin(device: Device): Promise<BegunDevice>;
  /** `undefined`: nobody waits under this code, or no longer. @throws RegistryError TOO_MANY_REQUESTS after many that were wrong */
  find(code: UserCode | undefined, looking: Looking): Promise<WaitingDevice | undefined>;
  /** `false`: nobody waits under this code, or no longer. @throws RegistryError as `find` does */
  decide(code: UserCode | undefined, looking: Looking, isLetIn: boolean): Promise<boolean>;
}

export interface DeviceSignInsDeps {
  readonly database: Database;
  readonly failures: SignInFailures;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export const devicePrefix = "berth_device";
const livesMs = 10 * 60_000;
const intervalMs = 5000;
const mostWaiting = 10_000;
/** Of one network: the oldest give way. */
const mostOfNetwork = 20;
const mostTries = 5;

export function createDeviceSignIns(deps: DeviceSignInsDeps): DeviceSignIns {
  const { database, now } = deps;
  const find: DeviceSignIns["find"] = async (code, looking) => {
    const row = await waitingUnder(deps, code, looking);
    return row && shown(row);
  };
  return {
    find,
    async begin(device) {
      const token = makeOpaqueToken(devicePrefix);
      const userCode = await database.write(async (tx) => {
        await makeRoom(tx, now());
        const code = await insert(tx, { ...device, id: token.id, secretHash: hashOfToken(token), now: now() });
        const value = networkOf(device.remoteAddress);
        await dropOldest(tx, { table: "device_sign_ins", column: "network", value, most: mostOfNetwork });
        return code;
      });
      const told = { expiresInSeconds: livesMs / 1000, intervalSeconds: intervalMs / 1000 };
      return { deviceCode: token.text, userCode, ...told };
    },
    async decide(code, looking, isLetIn) {
      const row = await waitingUnder(deps, code, looking);
      if (row === undefined) return false;
      const { id, epoch } = looking.account;
      const decided = await database.write((tx) =>
        tx
          .updateTable("device_sign_ins")
          .set({ state: isLetIn ? "approved" : "denied", account_id: id, account_epoch: epoch })
          .where("id", "=", row.id)
          .where("state", "=", "pending")
          .where("expires_at", ">", now())
          .executeTakeFirst(),
      );
      return decided.numUpdatedRows === 1n;
    },
  };
}

/** Of eight letters somebody could guess: wrong ones count as wrong passwords do, but keep nobody from signing in. */
async function waitingUnder(
  { database, failures, now }: DeviceSignInsDeps,
  code: UserCode | undefined,
  { account, remoteAddress }: Looking,
): Promise<DeviceSignInRow | undefined> {
  const attempt = { name: `device code by ${account.id}`, remoteAddress };
  const { blockedForSeconds } = await failures.count(attempt);
  if (blockedForSeconds > 0) {
    fail({ code: "TOO_MANY_REQUESTS", reason: "too many codes that are none", retryAfterSeconds: blockedForSeconds });
  }
  const row =
    code &&
    (await database.read
      .selectFrom("device_sign_ins")
      .selectAll()
      .where("user_code", "=", code)
      .where("state", "=", "pending")
      .where("expires_at", ">", now())
      .executeTakeFirst());
  if (row === undefined) await failures.record(attempt);
  return row;
}

const shown = ({ device, scope, address, created_at }: DeviceSignInRow): WaitingDevice => ({
  device,
  scope: parseDeviceScope(scope) ?? "images",
  address,
  askedAt: created_at,
});

async function makeRoom(tx: Writer, now: number): Promise<void> {
  await tx.deleteFrom("device_sign_ins").where("expires_at", "<=", now).execute();
  const { waiting } = await tx
    .selectFrom("device_sign_ins")
    .select((eb) => eb.fn.countAll<number>().as("waiting"))
    .executeTakeFirstOrThrow();
  if (waiting >= mostWaiting) {
    fail({ code: "TOO_MANY_REQUESTS", reason: "too many devices wait to be let in", retryAfterSeconds: 60 });
  }
}

interface NewRow extends Device {
  readonly id: string;
  readonly secretHash: string;
  readonly now: number;
}

async function insert(tx: Writer, { id, secretHash, device, scope, remoteAddress, now }: NewRow): Promise<UserCode> {
  for (let tried = 0; tried < mostTries; tried++) {
    const code = makeUserCode();
    const made = await tx
      .insertInto("device_sign_ins")
      .values({
        id,
        secret_hash: secretHash,
        user_code: code,
        device,
        scope,
        address: remoteAddress,
        network: networkOf(remoteAddress),
        state: "pending",
        account_id: null,
        account_epoch: null,
        interval_ms: intervalMs,
        polled_at: null,
        created_at: now,
        expires_at: now + livesMs,
      })
      .onConflict((conflict) => conflict.column("user_code").doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 1n) return code;
  }
  throw new Error("every code is taken");
}
