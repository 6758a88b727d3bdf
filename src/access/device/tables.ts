import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

export type DeviceState = "pending" | "approved" | "denied";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** Devices without a browser that wait for somebody to sign them in. */
    device_sign_ins: {
      /** Public; the rest of the device's code is hashed. */
      readonly id: string;
      readonly secret_hash: string;
      readonly user_code: string;
      /** What the device calls itself. */
      readonly device: string;
      readonly scope: string;
      /** From where it has asked. */
      readonly address: string;
      readonly network: string;
      readonly state: DeviceState;
      /** Of whoever has approved it. */
      readonly account_id: string | null;
      readonly account_epoch: number | null;
      readonly interval_ms: number;
      readonly polled_at: number | null;
      readonly created_at: number;
      readonly expires_at: number;
    };
  }
}

export type DeviceSignInRow = Selectable<Tables["device_sign_ins"]>;
