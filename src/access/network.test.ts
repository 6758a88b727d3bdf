import { expect, test } from "bun:test";
import { parseAccountName } from "./account-name.ts";
import { networkOf } from "./network.ts";

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::ffff:c000:207", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:0DB8:0001:0002::", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["", "unknown"],
  ["/run/berth.sock", "unknown"],
])("the network of %p is %p", (address, want) => {
  expect(networkOf(address)).toBe(want);
});

test.each<[string, string | undefined]>([
  ["admin", "admin"],
  ["ADMIN", "admin"],
  [" Admin\t", "admin"],
  ["ａｄｍｉｎ", "admin"],
  ["ann.lee+ci@example.com", "ann.lee+ci@example.com"],
  ["", undefined],
  ["a b", undefined],
  ["a\0b", undefined],
  ["-a", undefined],
  ["x".repeat(65), undefined],
])("the account name of %p is %p", (text, want) => {
  expect(parseAccountName(text) as string | undefined).toBe(want);
});
