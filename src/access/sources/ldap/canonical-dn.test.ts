import { expect, test } from "bun:test";
import { canonicalDn } from "./canonical-dn.ts";

test.each([
  ["cn=devs,ou=groups,dc=example,dc=org", "CN=Devs, OU=Groups ,DC=Example,DC=org"],
  [String.raw`cn=a\,b,dc=example`, String.raw`cn=a\2cb,dc=example`],
  [String.raw`cn=J\c3\b6rg,dc=example`, "cn=jörg,dc=example"],
  ["cn=a  b,dc=example", "cn=a b,dc=example"],
  ["cn=a+uid=b,dc=example", "uid=b+cn=a,dc=example"],
  [String.raw`cn=a\"b,dc=example`, String.raw`cn=a\22b,dc=example`],
])("%s and %s are one", (one, other) => {
  expect(canonicalDn(one)).toBeDefined();
  expect(canonicalDn(one)).toBe(canonicalDn(other) ?? "none");
});

test.each([
  ["cn=a,cn=b", String.raw`cn=a\,cn\=b`],
  ["cn=a+uid=b", String.raw`cn=a\+uid\=b`],
  ["cn=a,dc=example", "cn=a,dc=example,dc=org"],
  [String.raw`cn=a\ ,dc=example`, "cn=a,dc=example"],
  [String.raw`cn=a\\,dc=example`, String.raw`cn=a\,dc\=example`],
])("%s and %s are two", (one, other) => {
  expect(canonicalDn(one)).toBeDefined();
  expect(canonicalDn(other)).toBeDefined();
  expect(canonicalDn(one)).not.toBe(canonicalDn(other) ?? "none");
});

test.each(["", "devs", "cn", "=a", "cn=a,", String.raw`cn=a` + "\\", "c n=a", ",cn=a"])("%j is none", (text) =>
  expect(canonicalDn(text)).toBeUndefined(),
);
