import { describe, expect, test } from "bun:test";
import { adminBasic, challengeOf } from "../protocol/bearer.ts";
import { basic, type ServedRegistry, useRegistry } from "../protocol/registry-client.ts";

type Headers = Readonly<Record<string, string>>;

interface Seen {
  readonly origin: string;
  readonly remoteAddress: unknown;
  readonly proxyAddress: unknown;
}

/** Where the server believes a request was sent to, and by whom. */
async function seenBy(registry: ServedRegistry, headers: Headers): Promise<Seen> {
  const answer = await registry.as(undefined).send("GET", "/v2/", { headers });
  expect(answer.status).toBe(401);
  await registry.server().logged();
  const id = answer.header("x-request-id");
  const line = registry
    .server()
    .requests()
    .find(({ requestId }) => requestId === id);
  return {
    origin: (challengeOf(answer).realm ?? "").replace(/\/token$/, ""),
    remoteAddress: line?.["remoteAddress"],
    proxyAddress: line?.["proxyAddress"],
  };
}

describe("from a trusted proxy", () => {
  const registry = useRegistry({ env: { BERTH_HTTP_TRUSTED_PROXIES: "127.0.0.0/8, 10.0.0.0/8" } });
  const own = (): string => registry.server().url;
  const seen = (headers: Headers): Promise<Seen> => seenBy(registry, headers);
  const proxyAddress = "127.0.0.1";

  test("the client, the scheme and the host are what it says", async () => {
    const headers = {
      "X-Forwarded-For": "203.0.113.7",
      "X-Forwarded-Proto": "https",
      "X-Forwarded-Host": "registry.example",
    };
    const origin = "https://registry.example";
    expect(await seen(headers)).toEqual({ origin, remoteAddress: "203.0.113.7", proxyAddress });
  });

  test("a client's own words before those of the proxies count for nothing", async () => {
    const headers = {
      "X-Forwarded-For": "198.51.100.1, 127.0.0.9, 203.0.113.7, 10.0.0.3",
      "X-Forwarded-Proto": "http, https",
      "X-Forwarded-Host": "evil.example, registry.example",
      Forwarded: "for=198.51.100.1;host=evil.example",
      X_Forwarded_For: "198.51.100.1",
      X_Forwarded_Host: "evil.example",
      "X-Real-IP": "198.51.100.1",
      "X-Forwarded-Prefix": "/evil",
      "X-Forwarded-Port": "8443",
      "X-Original-Host": "evil.example",
    };
    const origin = "https://registry.example";
    expect(await seen(headers)).toEqual({ origin, remoteAddress: "203.0.113.7", proxyAddress });
  });

  test("several headers of one name are one list", async () => {
    const { send } = registry.as(undefined);
    const answer = await send("GET", "/v2/", {
      headers: { "X-Forwarded-For": ["198.51.100.1", "203.0.113.8"], "X-Forwarded-Proto": ["http", "https"] },
    });
    expect(challengeOf(answer).realm).toStartWith("https://");
    await registry.server().logged();
    const id = answer.header("x-request-id");
    const line = registry
      .server()
      .requests()
      .find(({ requestId }) => requestId === id);
    expect(line?.["remoteAddress"]).toBe("203.0.113.8");
  });

  const hops = Array.from({ length: 1500 }, () => "10.0.0.2");
  const garbage: Readonly<Record<string, Headers>> = {
    "no address": { "X-Forwarded-For": "203.0.113.7, <script>alert(1)</script>" },
    "an address in another spelling": { "X-Forwarded-For": "203.0.113.7, 127.1" },
    "a zone": { "X-Forwarded-For": "fe80::1%eth0" },
    "another scheme": { "X-Forwarded-Proto": "javascript" },
    "a host that ends the realm": { "X-Forwarded-Host": 'evil.example",scope="x' },
    "a host with a path": { "X-Forwarded-Host": "evil.example/x" },
    "a host with a name and a password": { "X-Forwarded-Host": "a:b@evil.example" },
    nothing: { "X-Forwarded-For": "", "X-Forwarded-Proto": "", "X-Forwarded-Host": "" },
  };
  for (const [what, headers] of Object.entries(garbage)) {
    test(`${what} says nothing`, async () => {
      expect(await seen(headers)).toEqual({ origin: own(), remoteAddress: proxyAddress, proxyAddress });
    });
  }

  test("a thousand hops are too many to be looked through", async () => {
    const headers = { "X-Forwarded-For": ["203.0.113.7", ...hops].join(",").slice(-15_000) };
    expect((await seen(headers)).remoteAddress).toBe("10.0.0.2");
  });

  test("each client has its own count of failed sign-ins, whatever it writes before it", async () => {
    const attempt = async (client: string, password: string): Promise<number> => {
      const headers = { "X-Forwarded-For": client };
      return (await registry.as(basic("admin", password)).send("GET", "/v2/", { headers })).status;
    };
    const statuses: number[] = [];
    for (let round = 0; round < 12; round++)
      statuses.push(await attempt(`198.51.100.${round}, 203.0.113.50`, `wrong ${round}`));
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const { password } = registry.server().admin;
    expect(await attempt("203.0.113.50:1234", password)).toBe(429);
    expect(await attempt("203.0.113.51", password)).toBe(200);
    expect((await registry.as(adminBasic(registry)).send("GET", "/v2/")).status).toBe(200);
  }, 60_000);

  test("nothing is said of ignored headers", async () => {
    await registry.server().logged();
    const events = registry
      .server()
      .log()
      .map(({ event }) => event);
    expect(events.filter((event) => event.startsWith("forwarding"))).toEqual([]);
  });
});

describe("where the proxies write Forwarded", () => {
  const env = { BERTH_HTTP_TRUSTED_PROXIES: "127.0.0.1", BERTH_HTTP_FORWARDED_HEADER: "forwarded" };
  const registry = useRegistry({ env });

  test("it counts, and the others do not", async () => {
    const headers = {
      Forwarded: 'for=198.51.100.1;host=evil.example, for="[2001:db8::7]:443";proto=https;host=registry.example',
      "X-Forwarded-For": "198.51.100.2",
      "X-Forwarded-Host": "evil.example",
      "X-Forwarded-Proto": "http",
    };
    expect(await seenBy(registry, headers)).toEqual({
      origin: "https://registry.example",
      remoteAddress: "2001:db8::7",
      proxyAddress: "127.0.0.1",
    });
  });
});

describe("where http.publicUrl is set", () => {
  const env = { BERTH_HTTP_TRUSTED_PROXIES: "127.0.0.1", BERTH_HTTP_PUBLIC_URL: "https://registry.example" };
  const registry = useRegistry({ env });

  test("it is the realm's, whatever a trusted proxy says", async () => {
    const headers = { "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "other.example" };
    const { origin, remoteAddress } = await seenBy(registry, headers);
    expect([origin, remoteAddress]).toEqual(["https://registry.example", "203.0.113.7"]);
  });
});
