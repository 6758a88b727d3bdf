import { expect, test } from "bun:test";
import { isNonDistributable, parseMediaType } from "./media-type.ts";

test.each([
  ["application/json", "application/json"],
  ["application/vnd.oci.image.manifest.v1+json; charset=utf-8", "application/vnd.oci.image.manifest.v1+json"],
  [" text/plain ;a=b;c", "text/plain"],
  ["a/b", "a/b"],
  [`${"a".repeat(127)}/${"b".repeat(127)}`, `${"a".repeat(127)}/${"b".repeat(127)}`],
])("%j is %s", (text, type) => {
  expect(String(parseMediaType(text))).toBe(type);
});

test.each([
  "",
  ";",
  "/",
  "a/",
  "/b",
  "a/b/c",
  "a b/c",
  "a/b c",
  "a/b\0",
  "a/b\nx-evil: 1",
  "*/*",
  "a/é",
  "a,b/c",
  `${"a".repeat(128)}/b`,
  `a/${"b".repeat(128)}`,
])("%j is no media type", (text) => {
  expect(parseMediaType(text)).toBeUndefined();
});

test("knows the layers that are never pushed", () => {
  expect(
    [
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      "application/vnd.oci.image.layer.v1.tar+gzip",
      "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ].map(isNonDistributable),
  ).toEqual([true, true, false, false]);
});
