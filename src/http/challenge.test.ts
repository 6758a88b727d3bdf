import { describe, expect, test } from "bun:test";
import { challenger, parseHost } from "./challenge.ts";

const challenge = challenger({ service: "berth", publicUrl: undefined });
const origin = { scheme: "http", host: "localhost:5000" } as const;

describe("challenger", () => {
  test.each([
    [{ scopes: [] }, 'Bearer realm="http://localhost:5000/token",service="berth"'],
    [
      { scopes: ["repository:a/b:pull,push"] },
      'Bearer realm="http://localhost:5000/token",service="berth",scope="repository:a/b:pull,push"',
    ],
    [
      { scopes: ["repository:a:pull,push", "repository:b:pull"], error: "insufficient_scope" as const },
      'Bearer realm="http://localhost:5000/token",service="berth",scope="repository:a:pull,push repository:b:pull",error="insufficient_scope"',
    ],
    [
      { scopes: [], error: "invalid_token" as const },
      'Bearer realm="http://localhost:5000/token",service="berth",error="invalid_token"',
    ],
  ])("%j", (about, want) => {
    expect(challenge(origin, about)).toBe(want);
  });

  test("the public URL wins over whatever the request says", () => {
    const fixed = challenger({ service: "berth", publicUrl: "https://registry.example/ignored?x" });
    const want = 'Bearer realm="https://registry.example/token",service="berth"';
    expect(fixed({ scheme: "http", host: "evil.example" }, { scopes: [] })).toBe(want);
    expect(fixed({ scheme: "http", host: 'a"b' }, { scopes: [] })).toBe(want);
  });

  test("the scheme is the request's", () => {
    expect(challenge({ scheme: "https", host: "r.example" }, { scopes: [] })).toStartWith(
      'Bearer realm="https://r.example/',
    );
  });

  test("nothing leaves its quotes or adds a header", () => {
    const sly = challenge(origin, {
      scopes: ['repository:a",realm="https://evil/:pull', "x\r\nSet-Cookie: a=b", "\\", "\0é"],
    });
    expect(sly).toBe(
      'Bearer realm="http://localhost:5000/token",service="berth",scope="repository:a,realm=https://evil/:pull xSet-Cookie: a=b  "',
    );
  });

  test("no challenge names a host that is none", () => {
    for (const host of [undefined, "", 'evil"', "a b", "evil.example/path"]) {
      expect(challenge({ scheme: "http", host }, { scopes: [] })).toBeUndefined();
    }
  });
});

test.each([
  ["localhost", "localhost"],
  ["LOCALHOST:5000", "localhost:5000"],
  ["registry.example.com", "registry.example.com"],
  ["registry.example.com.:443", "registry.example.com.:443"],
  ["my_registry:5000", "my_registry:5000"],
  ["127.0.0.1:5000", "127.0.0.1:5000"],
  ["[::1]:5000", "[::1]:5000"],
  ["[2001:DB8::1]", "[2001:db8::1]"],
])("the host %p is taken", (text, want) => {
  expect(parseHost(text)).toBe(want);
});

test.each([
  "",
  ":5000",
  "a:",
  "a:0",
  "a:65536",
  "a:123456",
  "a:-1",
  "a:5000x",
  "a..b",
  ".a",
  "-a",
  "a/b",
  "a\\b",
  "a?b",
  "a#b",
  "user@a",
  "a b",
  "a\r\nx: y",
  "a\n",
  "a\0",
  'a"',
  "a,b",
  "é.example",
  "[::1",
  "[::g]",
  "[127.0.0.1]",
  "[fe80::1%25eth0]",
  "::1",
  "a".repeat(300),
])("the host %p is refused", (text) => {
  expect(parseHost(text)).toBeUndefined();
});
