import { describe, expect, test } from "bun:test";
import { incoming } from "../../../test/support/incoming.ts";
import { endedCookie, readSessionCookie, requireOwnPage, sessionCookie } from "./session-cookie.ts";

const withCookie = (cookie: string, scheme: "http" | "https" = "https") =>
  readSessionCookie(incoming({ scheme, headers: new Map([["cookie", cookie]]) }));

describe("the cookie of a session", () => {
  test("cannot be read by a script, set by a neighbour or sent by another page", () => {
    expect(sessionCookie("https", "secret", 60_000)).toBe(
      "__Host-berth=secret; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=60",
    );
    expect(sessionCookie("http", "secret", 60_000)).toBe(
      "berth_session=secret; Path=/; HttpOnly; SameSite=Strict; Max-Age=60",
    );
    expect(endedCookie("https")).toBe("__Host-berth=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0");
  });

  test.each([
    ["__Host-berth=one", "one"],
    ["a=b; __Host-berth=one; c=d", "one"],
    ["__Host-berth=", undefined],
    ["a__Host-berth=one", undefined],
    ["berth_session=one", undefined],
    ["__host-berth=one", undefined],
    // One of them is somebody else's.
    ["__Host-berth=one; __Host-berth=two", undefined],
  ])("%p is %p", (cookie, secret) => {
    expect(withCookie(cookie)).toBe(secret);
  });

  test("without TLS has a name that TLS does not know", () => {
    expect(withCookie("berth_session=one", "http")).toBe("one");
    expect(withCookie("__Host-berth=one", "http")).toBeUndefined();
  });
});

function isOwn(headers: Readonly<Record<string, string>>, publicUrl?: string): boolean {
  const given = { host: "registry.example.org", ...headers };
  try {
    requireOwnPage(incoming({ scheme: "https", headers: new Map(Object.entries(given)) }), publicUrl);
    return true;
  } catch {
    return false;
  }
}

describe("a page of this server", () => {
  const own = "https://registry.example.org";

  test.each([
    [{ origin: own }],
    [{ "sec-fetch-site": "same-origin" }],
    [{ origin: own, "sec-fetch-site": "same-origin" }],
    [{ origin: own.toUpperCase().replace("HTTPS", "https"), "sec-fetch-site": "same-origin" }],
    [{ host: "registry.example.org:443", origin: own }],
  ])("asks with %j", (headers) => {
    expect(isOwn(headers)).toBe(true);
  });

  test.each([
    [{}],
    [{ origin: "null" }],
    [{ origin: "https://evil.example" }],
    [{ origin: "http://registry.example.org" }],
    [{ origin: `${own}.evil.example` }],
    [{ origin: `${own}:8443` }],
    [{ origin: own, "sec-fetch-site": "same-site" }],
    [{ origin: own, "sec-fetch-site": "cross-site" }],
    [{ "sec-fetch-site": "none" }],
    [{ origin: "https://evil.example", "sec-fetch-site": "same-origin" }],
    [{ host: "?", origin: own }],
  ])("does not ask with %j", (headers) => {
    expect(isOwn(headers)).toBe(false);
  });

  test("may be at the public address", () => {
    expect(isOwn({ host: "10.0.0.1:5000", origin: own }, own)).toBe(true);
    expect(isOwn({ host: "10.0.0.1:5000", origin: own })).toBe(false);
  });
});
