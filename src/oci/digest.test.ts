import { expect, test } from "bun:test";
import { algorithmOf, parseDigest, parseDigestAlgorithm } from "./digest.ts";

const [short, long] = ["0123456789abcdef".repeat(4), "0123456789abcdef".repeat(8)];

test.each([`sha256:${short}`, `sha512:${long}`])("%s is a digest", (text) => {
  expect(String(parseDigest(text))).toBe(text);
});

test.each([
  "",
  ":",
  "sha256",
  "sha256:",
  short,
  `sha256:${short.slice(1)}`,
  `sha256:${short}0`,
  `sha256:${long}`,
  `sha512:${short}`,
  `sha256:${short.toUpperCase()}`,
  `SHA256:${short}`,
  `sha1:${short.slice(24)}`,
  `sha384:${short}${short.slice(32)}`,
  `md5:${short.slice(32)}`,
  `sha256+b64:${short}`,
  `sha256:${"g".repeat(64)}`,
  ` sha256:${short}`,
  `sha256:${short}\n`,
  `sha256:${short}\0`,
  `sha256:sha256:${short}`,
  `sha256:${"٠".repeat(64)}`,
  `blob sha256:${short}`,
])("%j is none", (text) => {
  expect(parseDigest(text)).toBeUndefined();
});

test("a digest knows its algorithm", () => {
  const algorithms = [`sha256:${short}`, `sha512:${long}`].map((text) => {
    const digest = parseDigest(text);
    return digest && algorithmOf(digest);
  });
  expect(algorithms).toEqual(["sha256", "sha512"]);
});

test("algorithms are those two, exactly as they are written", () => {
  const given = ["sha256", "sha512", "SHA256", "sha384", "", "constructor", "sha256 "];
  expect(given.map(parseDigestAlgorithm)).toEqual(["sha256", "sha512", ...Array.from({ length: 5 }, () => undefined)]);
});
