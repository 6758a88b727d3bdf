import { describe, expect, it } from "bun:test";
import { incoming } from "../../test/support/incoming.ts";
import type { Incoming } from "../platform/runtime/http.ts";
import { type ProxySettings, trustedProxies } from "./trusted-proxies.ts";

const proxies = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"];

/** Whom, how and where a request with these headers asks, when it comes from an address. */
function seen(
  from: string,
  headers: Readonly<Record<string, string>>,
  header: ProxySettings["header"] = "x-forwarded",
): string {
  const given = new Map(Object.entries({ host: "inner.test:5000", ...headers }));
  const request = incoming({ headers: given, remoteAddress: from });
  const {
    scheme,
    remoteAddress,
    proxyAddress,
    headers: after,
  } = trustedProxies({ networks: proxies, header })(request);
  return `${scheme}://${String(after.get("host"))} ${remoteAddress}${proxyAddress === undefined ? "" : " by a proxy"}`;
}

const untouched = "http://inner.test:5000";
const all = {
  "x-forwarded-for": "192.0.2.7",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "outer.test",
};

describe("nothing counts", () => {
  it("from who is no proxy, and of whom there is no telling", () => {
    for (const from of ["192.0.2.1", "2001:db8::1", "11.0.0.1", "", "unknown", "127.0.0.2"])
      expect(seen(from, { ...all, forwarded: "for=192.0.2.7;proto=https;host=outer.test" })).toBe(
        `${untouched} ${from}`,
      );
  });

  it("where none is trusted", () => {
    const request = { remoteAddress: "127.0.0.1", headers: new Map(Object.entries(all)) } as unknown as Incoming;
    expect(trustedProxies({ networks: [], header: "x-forwarded" })(request)).toBe(request);
  });

  it("of a name that is only like it, or of the other kind of header", () => {
    const headers = { x_forwarded_for: "192.0.2.9", "x-real-ip": "192.0.2.9", forwarded: "for=192.0.2.9;proto=https" };
    expect(seen("10.0.0.1", headers)).toBe(`${untouched} 10.0.0.1 by a proxy`);
    expect(seen("10.0.0.1", all, "forwarded")).toBe(`${untouched} 10.0.0.1 by a proxy`);
  });
});

describe("of X-Forwarded-For counts the last hop that is no proxy:", () => {
  it.each([
    ["192.0.2.7", "192.0.2.7"],
    ["198.51.100.1, 192.0.2.7", "192.0.2.7"],
    ["127.0.0.1, 192.0.2.7", "192.0.2.7"],
    ["198.51.100.1, 192.0.2.7, 10.0.0.3", "192.0.2.7"],
    ["198.51.100.1,192.0.2.7,10.0.0.3,fd00::1", "192.0.2.7"],
    // All of them proxies: the first began it.
    ["10.0.0.9, 10.0.0.3", "10.0.0.9"],
    ["192.0.2.7:51234", "192.0.2.7"],
    ["2001:db8::7", "2001:db8::7"],
    ["2001:DB8::7", "2001:db8::7"],
    ["[2001:db8::7]", "2001:db8::7"],
    ["[2001:db8::7]:443", "2001:db8::7"],
    ["::ffff:192.0.2.7", "::ffff:192.0.2.7"],
    ["192.0.2.7, ::ffff:10.0.0.3", "192.0.2.7"],
    ["  192.0.2.7  ", "192.0.2.7"],
    // What cannot be read hides what stands before it, and nothing behind it.
    ["192.0.2.7, unknown", "10.0.0.1"],
    ["192.0.2.7, _hidden, 10.0.0.3", "10.0.0.3"],
    ["192.0.2.7,", "10.0.0.1"],
    [",,,,", "10.0.0.1"],
    ["", "10.0.0.1"],
    ["192.0.2.7;192.0.2.8", "10.0.0.1"],
    ["127.1", "10.0.0.1"],
    ["0x7f000001", "10.0.0.1"],
    ["fe80::1%eth0", "10.0.0.1"],
    ["192.0.2.7:99999999", "10.0.0.1"],
    ["[192.0.2.7]", "10.0.0.1"],
    ["<script>, ${jndi}", "10.0.0.1"],
  ])("%s", (text, client) => {
    expect(seen("10.0.0.1", { "x-forwarded-for": text })).toBe(`${untouched} ${client} by a proxy`);
  });
});

describe("of scheme and host counts what the nearest proxy said", () => {
  it.each([
    [{ "x-forwarded-proto": "https", "x-forwarded-host": "outer.test" }, "https://outer.test"],
    [{ "x-forwarded-proto": "HTTPS", "x-forwarded-host": "Outer.Test:8443" }, "https://outer.test:8443"],
    [{ "x-forwarded-proto": "http, https", "x-forwarded-host": "evil.test, outer.test" }, "https://outer.test"],
    [{ "x-forwarded-proto": "https, http" }, "http://inner.test:5000"],
    [{ "x-forwarded-proto": "gopher", "x-forwarded-host": "a/b" }, untouched],
    [{ "x-forwarded-proto": "", "x-forwarded-host": "" }, untouched],
    [{ "x-forwarded-host": 'evil.test",error="x' }, untouched],
    [{ "x-forwarded-host": "user@evil.test" }, untouched],
    [{ "x-forwarded-prefix": "/evil", "x-forwarded-port": "1", "x-forwarded-server": "evil.test" }, untouched],
  ])("%j", (headers, origin) => {
    expect(seen("10.0.0.1", { "x-forwarded-for": "192.0.2.7", ...headers })).toBe(`${origin} 192.0.2.7 by a proxy`);
    expect(seen("10.0.0.1", headers)).toBe(`${origin} 10.0.0.1 by a proxy`);
    expect(seen("10.0.0.1", { "x-forwarded-for": "unknown", ...headers })).toBe(`${origin} 10.0.0.1 by a proxy`);
  });
});

describe("of Forwarded counts the element of the last hop that is no proxy:", () => {
  it.each([
    ["for=192.0.2.7;proto=https;host=outer.test", "https://outer.test 192.0.2.7"],
    ["For=192.0.2.7; Proto=HTTPS ;HOST=outer.test", "https://outer.test 192.0.2.7"],
    ['for="[2001:db8::7]:443";host="outer.test:8443"', "http://outer.test:8443 2001:db8::7"],
    ["for=198.51.100.1;host=evil.test, for=192.0.2.7;host=outer.test", "http://outer.test 192.0.2.7"],
    ["for=192.0.2.7;proto=https;host=outer.test, for=10.0.0.3;proto=http;host=middle", "https://outer.test 192.0.2.7"],
    ['for="x, for=192.0.2.7;host=outer.test', "http://outer.test 192.0.2.7"],
    ['for=192.0.2.9, for="1, for=2", for=192.0.2.7', `${untouched} 192.0.2.7`],
    ['for=192.0.2.7;host="a\\"b"', `${untouched} 192.0.2.7`],
    // What cannot be read tells nothing.
    ["for=unknown;host=outer.test", `${untouched} 10.0.0.1`],
    ["for=_secret", `${untouched} 10.0.0.1`],
    ["for=192.0.2.7;for=192.0.2.8", `${untouched} 10.0.0.1`],
    ["for=192.0.2.7;;", `${untouched} 10.0.0.1`],
    ["192.0.2.7", `${untouched} 10.0.0.1`],
    ["for=192.0.2.7, ", `${untouched} 10.0.0.1`],
    ['for="192.0.2.7', `${untouched} 10.0.0.1`],
    ['"', `${untouched} 10.0.0.1`],
    ["", `${untouched} 10.0.0.1`],
  ])("%s", (text, expected) => {
    expect(seen("10.0.0.1", { forwarded: text }, "forwarded")).toBe(`${expected} by a proxy`);
  });
});

const many = (hop: string): string => Array.from({ length: 3000 }, () => hop).join(", ");

it("reads no chain further than any is long", () => {
  expect(seen("10.0.0.1", { "x-forwarded-for": many("192.0.2.1") })).toContain(" 192.0.2.1 by");
  expect(seen("10.0.0.1", { "x-forwarded-for": `198.51.100.1, ${many("10.0.0.2")}` })).toContain(" 10.0.0.2 by");
  expect(seen("10.0.0.1", { forwarded: many("for=192.0.2.7") }, "forwarded")).toContain(" 192.0.2.7 by");
});

it("takes no time for whatever is in it", () => {
  const texts = [
    '"'.repeat(16_000),
    "\\".repeat(16_000),
    ",".repeat(16_000),
    `"${"\\\\".repeat(8000)}"`,
    ";=".repeat(8000),
  ];
  const started = performance.now();
  for (const text of texts)
    for (const header of ["forwarded", "x-forwarded"] as const)
      seen("10.0.0.1", { forwarded: text, "x-forwarded-for": text, "x-forwarded-host": text }, header);
  expect(performance.now() - started).toBeLessThan(2000);
});
