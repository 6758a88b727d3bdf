import { expect, it } from "bun:test";
import { certificateReader } from "./certificate-reader.ts";

const none = { commonName: [], email: [], uri: [], dns: [] };

function open(rules: Parameters<typeof certificateReader>[0]["rules"] = []) {
  const clock = { now: 1000, looked: 0 };
  const read = certificateReader({
    now: () => clock.now,
    rules,
    accountIn: "commonName",
    namesIn(der) {
      clock.looked++;
      const names = { ...none, commonName: [Buffer.from(der).toString()], validUntil: 2000 };
      return clock.now < names.validUntil ? names : undefined;
    },
  });
  return { clock, read: (name: string) => read(Buffer.from(name)) };
}

it("looks at a certificate once, and again when it is over with it", () => {
  const { clock, read } = open();
  for (let round = 0; round < 3; round++) {
    expect(read("ann")?.owner).toEqual({ kind: "account", name: "ann" });
    expect(read("bob")?.owner).toEqual({ kind: "account", name: "bob" });
  }
  expect(clock.looked).toBe(2);
  clock.now = 1999;
  expect(read("ann")).toBeDefined();
  clock.now = 2000;
  expect(read("ann")).toBeUndefined();
  expect(read("ann")).toBeUndefined();
  expect(clock.looked).toBe(4);
});

it("takes the first rule that fits the whole of a name", () => {
  const { read } = open([
    { field: "commonName", value: "build", robot: "robot$ci" },
    { field: "commonName", value: "build", account: "ann" },
  ]);
  expect(read("build")?.owner).toEqual({ kind: "robot", name: "robot$ci" });
  expect(read("builder")?.owner).toEqual({ kind: "account", name: "builder" });
});
