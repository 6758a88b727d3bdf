import { describe, expect, test } from "bun:test";
import { RegistryError } from "../../oci/problem.ts";
import { createPasswords, isHashablePassword, longestPasswordBytes, unmatchableHash } from "./passwords.ts";

const passwords = createPasswords({ concurrent: 2, waiting: 16 });

describe("passwords", () => {
  test("verify what they hashed and nothing else", async () => {
    const hash = await passwords.hash("correct horse");
    expect(hash).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$");
    expect(await passwords.verify("correct horse", hash)).toBe(true);
    expect(await passwords.verify("Correct horse", hash)).toBe(false);
    expect(await passwords.hash("correct horse")).not.toBe(hash);
  });

  test("count to the last byte: past 72 bytes and past a NUL", async () => {
    const long = "x".repeat(79);
    const hash = await passwords.hash(`${long}a`);
    expect(await passwords.verify(`${long}b`, hash)).toBe(false);
    expect(await passwords.verify("same\0b", await passwords.hash("same\0a"))).toBe(false);
  });

  test("empty and oversized ones never reach the hash", async () => {
    // Reached, this one would throw.
    const noHash = "not a hash";
    expect(await passwords.verify("", noHash)).toBe(false);
    expect(await passwords.verify("x".repeat(1024 * 1024), noHash)).toBe(false);
    expect(await passwords.verify("ü".repeat(longestPasswordBytes / 2 + 1), noHash)).toBe(false);
    expect(await passwords.verify("x", noHash).catch((error: unknown) => error)).toBeInstanceOf(Error);
    expect(await passwords.hash("").catch((error: unknown) => error)).toBeInstanceOf(RangeError);
    expect(isHashablePassword("x".repeat(longestPasswordBytes))).toBe(true);
  });

  test("more callers than may wait are told to come back", async () => {
    const small = createPasswords({ concurrent: 1, waiting: 2 });
    const results = await Promise.allSettled(Array.from({ length: 6 }, async () => small.hash("x")));
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused).toHaveLength(3);
    for (const { reason } of refused) {
      expect(reason).toBeInstanceOf(RegistryError);
      expect((reason as RegistryError).problems[0]).toMatchObject({ code: "TOO_MANY_REQUESTS", retryAfterSeconds: 1 });
    }
    expect(await small.verify("x", await small.hash("x"))).toBe(true);
  });

  test("a failed hash gives its turn back", async () => {
    const single = createPasswords({ concurrent: 1, waiting: 0 });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const failure = await single.verify("x", "not a hash").catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toBeInstanceOf(RegistryError);
    }
    expect(await single.verify("x", unmatchableHash())).toBe(false);
  });

  test("the hash that nothing matches has the form of a real one", async () => {
    const real = await passwords.hash("x");
    const [made, wanted] = [unmatchableHash(), real].map((hash) => hash.split("$"));
    expect(made?.slice(0, 4)).toEqual(wanted?.slice(0, 4));
    expect(made?.map((part) => part.length)).toEqual(wanted?.map((part) => part.length));
  });
});
