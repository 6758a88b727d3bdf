import { expect, test } from "bun:test";
import { networkOf } from "./network-of.ts";

const bits = { ipv4Bits: 32, ipv6Bits: 64 };

const cases: readonly (readonly [address: string, of: typeof bits, network: string])[] = [
  ["192.0.2.7", bits, "192.0.2.7"],
  ["192.0.2.7", { ...bits, ipv4Bits: 24 }, "192.0.2.0/24"],
  ["192.0.255.7", { ...bits, ipv4Bits: 20 }, "192.0.240.0/20"],
  ["::ffff:192.0.2.7", bits, "192.0.2.7"],
  ["::FFFF:c000:207", bits, "192.0.2.7"],
  ["2001:db8::1", bits, "2001:db8::/64"],
  ["2001:DB8:0:0:ffff::1", bits, "2001:db8::/64"],
  ["2001:db8:0:0:0:0:0:2%eth0", bits, "2001:db8::/64"],
  ["2001:db8:0:1:ffff:ffff:ffff:ffff", bits, "2001:db8:0:1::/64"],
  ["2001:db8:0:1:ffff::", { ...bits, ipv6Bits: 56 }, "2001:db8::/56"],
  ["2001:db8::1", { ...bits, ipv6Bits: 128 }, "2001:db8:0:0:0:0:0:1"],
  ["64:ff9b::192.0.2.33", { ...bits, ipv6Bits: 128 }, "64:ff9b:0:0:0:0:c000:221"],
  ["::1", bits, "::/64"],
  ["::", { ...bits, ipv6Bits: 128 }, "::"],
  ["no address", bits, "no address"],
];

for (const [address, of, network] of cases) {
  test(`${address} is in ${network}`, () => {
    expect(networkOf(address, of)).toBe(network);
  });
}

test("what is no address does not grow", () => {
  expect(networkOf("x".repeat(10_000), bits)).toHaveLength(64);
});
