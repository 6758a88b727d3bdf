import { randomBytes } from "node:crypto";
import { fail } from "../../oci/problem.ts";

/** Hashes people's passwords: dear on purpose, and therefore bounded in number and in input. */
export interface Passwords {
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
}

export interface PasswordLimits {
  /** Hashes at once: each holds 19 MiB and a core. */
  readonly concurrent: number;
  /** Callers that may wait for their turn; one more is refused. */
  readonly waiting: number;
}

export const longestPasswordBytes = 1024;
const retryAfterSeconds = 1;

/** OWASP's minimum for argon2id. */
const argon2id = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

export function createPasswords(limits: PasswordLimits): Passwords {
  let running = 0;
  const queue: (() => void)[] = [];
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= limits.concurrent) {
      if (queue.length >= limits.waiting) {
        fail({ code: "TOO_MANY_REQUESTS", reason: "too many sign-ins at once", retryAfterSeconds });
      }
      // Who finishes hands over the turn, so `running` stays as it is.
      await new Promise<void>((resolve) => {
        queue.push(resolve);
      });
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
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
