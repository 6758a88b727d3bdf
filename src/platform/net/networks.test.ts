import { describe, expect, it } from "bun:test";
import { openNetworks, parseNetwork } from "./networks.ts";
import { isPublicAddress } from "./public-address.ts";

describe("networks", () => {
  it.each([
    ["10.0.0.0/8", { address: "10.0.0.0", bits: 8 }],
    ["192.0.2.7", { address: "192.0.2.7", bits: 32 }],
    ["fd00::/8", { address: "fd00::", bits: 8 }],
    ["::1", { address: "::1", bits: 128 }],
    ["0.0.0.0/0", { address: "0.0.0.0", bits: 0 }],
    ["10.0.0.0/33", undefined],
    ["::/129", undefined],
    ["10.0.0.0/", undefined],
    ["10.0.0.0/-1", undefined],
    ["10.0.0/8", undefined],
    ["127.1", undefined],
    ["0x7f.0.0.1", undefined],
    ["fe80::1%eth0", undefined],
    ["localhost", undefined],
    ["", undefined],
    [" 10.0.0.1", undefined],
  ])("%s", (text, network) => {
    expect(parseNetwork(text)).toEqual(network);
  });

  it("have the addresses inside them, in every spelling, and no other", () => {
    const networks = openNetworks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);
    const inside = ["10.0.0.0", "10.255.255.255", "192.0.2.7", "fd12::1", "::ffff:10.1.2.3", "::ffff:a01:203"];
    const outside = ["9.255.255.255", "11.0.0.0", "192.0.2.8", "fe00::1", "::ffff:11.0.0.1", "", "10.1", "unknown"];
    expect(inside.filter((address) => !networks.has(address))).toEqual([]);
    expect(outside.filter((address) => networks.has(address))).toEqual([]);
    expect(openNetworks([]).has("10.0.0.1")).toBe(false);
  });

  it("do not open with what is no network", () => {
    expect(() => openNetworks(["10.0.0.0/8", "everything"])).toThrow("everything is no network");
  });
});

describe("an address is public", () => {
  it.each(["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "223.255.255.255", "2606:4700::1111", "::ffff:8.8.8.8"])(
    "%s",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
  it("also behind a translator", () => expect(isPublicAddress("64:ff9b::8.8.8.8")).toBe(true));
});

const notPublic = [
  "0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 127.1.2.3 169.254.169.254 172.16.0.1",
  "172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255",
  "198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 fe80::1",
  "fe80::1%eth0 fc00::1 fd12::1 ff02::1 fec0::1 100::1 2001::1 2001:db8::1 2002:7f00:1::",
  "3fff::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe",
  "0:0:0:0:0:ffff:10.0.0.1 ::FFFF:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b::7f00:1",
  "64:ff9b:1::8.8.8.8 2606:4700::1111%eth0 127.1 localhost",
].flatMap((line) => line.split(" "));

describe("an address is not public", () => {
  it.each([...notPublic, ""])("%s", (address) => expect(isPublicAddress(address)).toBe(false));
});
