import { randomBytes } from "node:crypto";
import { takeTurns, type TurnLimits } from "../turns/take-turns.ts";

/** Hashes people's passwords: dear on purpose, and therefore bounded in number and in input. */
export interface Passwords {
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
}

export const longestPasswordBytes = 1024;

/** OWASP's minimum for argon2id. */
const argon2id = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** @param limits each hash holds 19 MiB and a core */
export function createPasswords(limits: TurnLimits): Passwords {
  const inTurn = takeTurns(limits, "too many sign-ins at once");
  return {
    async hash(password) {
      if (!isHashablePassword(password)) throw new RangeError("a password has 1 to 1024 bytes");
      return inTurn(async () => Bun.password.hash(password, argon2id));
    },
    async verify(password, hash) {
      if (!isHashablePassword(password)) return false;
      return inTurn(async () => Bun.password.verify(password, hash));
    },
  };
}

/** Others are of bcrypt, from a file of Apache's; of those, a password of more than 72 bytes matches none. */
export const isOwnHash = (hash: string): boolean => hash.startsWith("$argon2id$");

/** Whether it is worth a hash at all. It says nothing about any account, so it may be told apart in an answer. */
export const isHashablePassword = (password: string): boolean =>
  password !== "" && password.length <= longestPasswordBytes && Buffer.byteLength(password) <= longestPasswordBytes;

/**
 * A hash of the same cost that no password is known for: to check a password of an account that does not exist takes
 * as long as of one that does.
 */
export function unmatchableHash(): string {
  const { memoryCost, timeCost } = argon2id;
  const [salt, output] = [randomBytes(32), randomBytes(32)].map((bytes) => bytes.toString("base64").replace(/=+$/, ""));
  return `$argon2id$v=19$m=${String(memoryCost)},t=${String(timeCost)},p=1$${salt}$${output}`;
}
