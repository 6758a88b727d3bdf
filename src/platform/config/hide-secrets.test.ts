import { describe, expect, it } from "bun:test";
import { hideSecrets } from "./hide-secrets.ts";

describe("hideSecrets", () => {
  it.each([
    ["secret", "canary-abcdefghijklmnopqrstuvwxyz", "(hidden)"],
    ["database.url", "postgres://user:canary@host/db", "postgres://user:hidden@host/db"],
    ["database.url", "postgres://host/db?user=u&password=canary", "postgres://host/db?user=u&password=hidden"],
    ["database.url", "postgres://host/db?sslkey=canary", "postgres://host/db?sslkey=hidden"],
    ["database.url", "postgres://user:ca/nary@host/db", "(hidden)"],
    ["database.url", "postgres://user:1/canary@host/db", "(hidden)"],
    ["database.url", "postgres://user:1#canary@host/db", "(hidden)"],
    ["database.url", "postgres://user:1?canary@host/db", "(hidden)"],
  ])("hides the secret in %s %s", (path, value, shown) => {
    expect(hideSecrets(path, value)).toBe(shown);
    expect(shown).not.toContain("canary");
  });

  it("hides the secrets of each of a list, and no other member", () => {
    const source = { name: "corp", bindDn: "cn=reader", bindPassword: "canary", bindPasswordFile: "/run/secrets/ldap" };
    expect(hideSecrets("access.sources", [source])).toEqual([{ ...source, bindPassword: "(hidden)" }]);
  });

  it.each([
    ["database.url", "postgres://user@host/db"],
    ["database.url", "sqlite:/srv/berth/berth.sqlite"],
    ["http.addr", "127.0.0.1:5000"],
    ["data", "./data"],
    ["delete.enabled", true],
    ["secret", undefined],
  ])("leaves %s %s as it is", (path, value) => {
    expect(hideSecrets(path, value)).toBe(value);
  });
});
