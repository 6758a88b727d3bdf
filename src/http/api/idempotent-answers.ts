import { createHash, type KeyObject } from "node:crypto";
import { seal, unseal } from "../../access/sealed-text.ts";
import { fail } from "../../oci/problem.ts";
import type { Database, Writer } from "../../platform/database/database.ts";
import { dropOldest } from "../../platform/database/drop-oldest.ts";

/** A request to create something, as one that may come again. */
export interface Keyed {
  readonly id: string;
  readonly principal: string;
  readonly requestHash: string;
}

/**
 * What creations with an `Idempotency-Key` were answered. It is stored with that which was created, so that one is there when
 * the other is: a client that never got the answer asks again and gets the same.
 */
export interface IdempotentAnswers {
  /** @throws RegistryError IDEMPOTENCY_KEY_REUSED */
  find(keyed: Keyed): Promise<{ readonly value: unknown } | undefined>;
  /** `false`: somebody is or was quicker with the same key. */
  store(tx: Writer, keyed: Keyed, value: unknown): Promise<boolean>;
}

export interface IdempotentAnswersDeps {
  readonly database: Database;
  readonly key: KeyObject;
  readonly now: () => number;
}

const keptForMs = 24 * 60 * 60_000;
/** The oldest give way. */
const mostOfPrincipal = 1000;
const keyForm = /^[\x21-\x7e]{1,255}$/;

const hashOf = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("base64url");
};

interface Asked {
  readonly key: string | undefined;
  readonly principal: string;
  /** Method, path and body: all that decides what is made. */
  readonly parts: readonly (string | Uint8Array)[];
}

/** @throws RegistryError INPUT_INVALID */
export function keyedRequest({ key, principal, parts }: Asked): Keyed | undefined {
  if (key === undefined) return undefined;
  if (!keyForm.test(key)) {
    const reason = "must be 1 to 255 visible characters of ASCII";
    fail({ code: "INPUT_INVALID", faults: [{ at: "Idempotency-Key", reason }] });
  }
  return { id: hashOf(principal, key), principal, requestHash: hashOf(...parts) };
}

export function idempotentAnswers({ database, key, now }: IdempotentAnswersDeps): IdempotentAnswers {
  return {
    async find({ id, requestHash }) {
      const row = await database.read
        .selectFrom("idempotent_answers")
        .selectAll()
        .where("id", "=", id)
        .executeTakeFirst();
      if (row === undefined || row.created_at + keptForMs <= now()) return undefined;
      if (row.request_hash !== requestHash) fail({ code: "IDEMPOTENCY_KEY_REUSED" });
      const text = unseal(key, id, row.sealed_answer);
      return text === undefined ? undefined : { value: JSON.parse(text) };
    },
    async store(tx, { id, principal, requestHash }, value) {
      await tx
        .deleteFrom("idempotent_answers")
        .where("created_at", "<=", now() - keptForMs)
        .execute();
      const sealed = seal(key, id, JSON.stringify(value));
      const stored = await tx
        .insertInto("idempotent_answers")
        .values({ id, principal, request_hash: requestHash, sealed_answer: sealed, created_at: now() })
        .onConflict((conflict) => conflict.column("id").doNothing())
        .executeTakeFirst();
      if (stored.numInsertedOrUpdatedRows !== 1n) return false;
      await dropOldest(tx, {
        table: "idempotent_answers",
        column: "principal",
        value: principal,
        most: mostOfPrincipal,
      });
      return true;
    },
  };
}
