import { describe, expect, test } from "bun:test";
import { base32, codeOf, otpauthUri, stepOf } from "./totp.ts";

const secret = Buffer.from("12345678901234567890");

describe("one-time codes", () => {
  // RFC 6238, appendix B, of which these are the last six digits.
  test.each([
    [59, "287082"],
    [1_111_111_109, "081804"],
    [1_111_111_111, "050471"],
    [1_234_567_890, "005924"],
    [2_000_000_000, "279037"],
    [20_000_000_000, "353130"],
  ])("at %p are as the standard says", (seconds, code) => {
    expect(codeOf(secret, Math.floor(seconds / 30))).toBe(code);
    expect(stepOf(secret, { code, now: seconds * 1000, lastStep: 0 })).toBe(Math.floor(seconds / 30));
  });

  test("are good half a minute off, and each one once", () => {
    const now = 1_234_567_890_000;
    const step = Math.floor(now / 30_000);
    for (const off of [-1, 0, 1]) {
      const code = codeOf(secret, step + off);
      expect(stepOf(secret, { code, now, lastStep: 0 })).toBe(step + off);
      expect(stepOf(secret, { code, now, lastStep: step + off })).toBeUndefined();
    }
    for (const off of [-2, 2])
      expect(stepOf(secret, { code: codeOf(secret, step + off), now, lastStep: 0 })).toBeUndefined();
    for (const code of ["", "1", "28708", "2870820", "28708２", "abcdef"]) {
      expect(stepOf(secret, { code, now, lastStep: 0 })).toBeUndefined();
    }
  });
});

test.each([
  ["", ""],
  ["f", "MY"],
  ["fo", "MZXQ"],
  ["foo", "MZXW6"],
  ["foob", "MZXW6YQ"],
  ["fooba", "MZXW6YTB"],
  ["foobar", "MZXW6YTBOI"],
])("%p in base32 is %p (RFC 4648, 10)", (text, encoded) => {
  expect(base32(Buffer.from(text))).toBe(encoded);
});

test("an app is told whose it is", () => {
  expect(otpauthUri("ABC", { issuer: "berth", name: "a@b" })).toBe(
    "otpauth://totp/berth:a%40b?secret=ABC&issuer=berth&algorithm=SHA1&digits=6&period=30",
  );
});
