import { createHash } from "node:crypto";
import type { Database } from "../../platform/database/database.ts";
import { prepared, type Reading } from "../../platform/database/prepared.ts";
import type { TokenClaims } from "../openid/verify-token.ts";

/** More than one every half second; nothing that counts is thrown away to make room. */
const mostExchangesOfRobot = 10_000;
const mostDroppedAtOnce = 500;

/**
 * What a token is known by: its own id, or all that is signed of it where it has none. The signature is not looked at, for
 * there are several that are good.
 */
export function keyOfToken(token: string, { iss, jti }: TokenClaims): string {
  const signed = token.slice(0, token.lastIndexOf("."));
  const parts = typeof jti === "string" && jti !== "" ? ["jti", iss, jti] : ["token", iss, signed];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

interface Exchange {
  readonly key: string;
  readonly robotId: string;
  /** When the token is no good any more, in milliseconds since 1970, as is `now`. */
  readonly expiresAt: number;
  readonly now: number;
  readonly most?: number;
}

/** Of several who exchange the same token at once, on whichever server, one does. */
export const exchangeOnce = (
  database: Database,
  { key, robotId, expiresAt, now, most = mostExchangesOfRobot }: Exchange,
): Promise<"done" | "replayed" | "too-many"> =>
  database.write(async (tx) => {
    await tx
      .deleteFrom("workload_exchanges")
      .where("key", "in", (eb) =>
        eb
          .selectFrom("workload_exchanges")
          .select("key")
          .where("expires_at", "<=", now)
          .orderBy("expires_at")
          .limit(mostDroppedAtOnce),
      )
      .execute();
    const last = await tx
      .selectFrom("workload_exchanges")
      .select("key")
      .where("robot_id", "=", robotId)
      .where("expires_at", ">", now)
      .orderBy("expires_at")
      .offset(most - 1)
      .limit(1)
      .executeTakeFirst();
    if (last !== undefined) return "too-many";
    const made = await tx
      .insertInto("workload_exchanges")
      .values({ key, robot_id: robotId, expires_at: expiresAt })
      .onConflict((conflict) => conflict.column("key").doNothing())
      .returning("key")
      .execute();
    return made.length === 1 ? "done" : "replayed";
  });

const byKey = prepared((read, given: { readonly key: string }) =>
  read.selectFrom("workload_exchanges").select("key").where("key", "=", given.key),
);

export const wasExchanged = async (database: Reading, key: string): Promise<boolean> =>
  (await byKey(database, { key })).length > 0;
