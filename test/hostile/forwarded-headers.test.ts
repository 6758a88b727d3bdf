import { describe, expect, test } from "bun:test";
import { adminBasic, challengeOf } from "../protocol/bearer.ts";
import { digestOf, indexBytes, mediaTypes, pushIndex } from "../protocol/content.ts";
import {
  basic,
  freshRepository,
  locationOf,
  nextPage,
  type ServedRegistry,
  useRegistry,
} from "../protocol/registry-client.ts";

const evil = "evil.example";
const forged: Readonly<Record<string, string>> = {
  "X-Forwarded-For": "203.0.113.7",
  "X-Forwarded-Host": evil,
  "X-Forwarded-Server": evil,
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Scheme": "https",
  "X-Forwarded-Ssl": "on",
  "X-Forwarded-Port": "8443",
  "X-Forwarded-Prefix": `/${evil}`,
  "X-Forwarded-Path": `/${evil}`,
  Forwarded: `for=203.0.113.7;host=${evil};proto=https;by=203.0.113.8`,
  "X-Real-IP": "203.0.113.7",
  "X-Client-IP": "203.0.113.7",
  "True-Client-IP": "203.0.113.7",
  "CF-Connecting-IP": "203.0.113.7",
  "X-Original-Host": evil,
  "X-Original-URL": "/v2/_catalog",
  "X-Rewrite-URL": "/v2/_catalog",
  "X-HTTP-Method-Override": "DELETE",
  "X-HTTP-Method": "DELETE",
  "Front-End-Https": "on",
  // Some proxies pass these on, and some servers behind them read them as the ones with hyphens.
  X_Forwarded_For: "203.0.113.7",
  X_Forwarded_Host: evil,
  X_Forwarded_Proto: "https",
};

/** Everything in which a server tells where it believes itself to be, or whom it believes to speak with. */
async function seenBy(registry: ServedRegistry, headers: Readonly<Record<string, string>>) {
  const repository = freshRepository();
  await pushIndex(registry, repository, { tag: "a" });
  await pushIndex(registry, repository, { tag: "b" });
  const bytes = indexBytes([], { annotations: { repository } });
  const put = { headers: { ...headers, "Content-Type": mediaTypes.index }, body: bytes };
  const blob = Buffer.from(repository);
  const answers = {
    challenged: await registry.as(undefined).send("GET", "/v2/", { headers }),
    upload: await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { headers, body: "" }),
    blob: await registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(blob)}`, {
      headers,
      body: blob,
    }),
    manifest: await registry.send("PUT", `/v2/${repository}/manifests/c`, put),
    page: await registry.send("GET", `/v2/${repository}/tags/list?n=1`, { headers }),
  };
  const all = Object.values(answers);
  expect(all.map(({ status }) => status)).toEqual([401, 202, 201, 201, 200]);
  const told = all.map((answer) => JSON.stringify([answer.headers, answer.text])).join("\n");
  expect(told).not.toMatch(/evil|203\.0\.113|8443/);
  const ids = new Set(all.map((answer) => answer.header("x-request-id")));
  await registry.server().logged();
  const logged = registry
    .server()
    .requests()
    .filter((line) => ids.has(String(line["requestId"])));
  return {
    repository,
    realm: challengeOf(answers.challenged).realm,
    locations: [answers.upload, answers.blob, answers.manifest].map(locationOf),
    next: nextPage(answers.page),
    logged: logged.map((line) => [line.method, line["remoteAddress"]]),
  };
}

describe("what proxies add counts for nothing when a client sends it:", () => {
  const registry = useRegistry();

  for (const headers of [...Object.entries(forged).map(([name, value]) => ({ [name]: value })), forged]) {
    const names = Object.keys(headers);
    test(names.length === 1 ? names.join("") : "all of them at once", async () => {
      const seen = await seenBy(registry, headers);
      expect(seen.realm).toBe(`${registry.server().url}/token`);
      for (const location of seen.locations) expect(location).toStartWith(`/v2/${seen.repository}/`);
      expect(seen.next).toStartWith(`/v2/${seen.repository}/tags/list?`);
      const methods = ["GET", "POST", "POST", "PUT", "GET"];
      expect(seen.logged).toEqual(methods.map((method) => [method, "127.0.0.1"]));
      // Whatever the override said, nothing was deleted.
      expect((await registry.send("GET", `/v2/${seen.repository}/manifests/a`)).status).toBe(200);
    });
  }
});

describe("what proxies add counts for nothing from who is no trusted proxy:", () => {
  const registry = useRegistry({ env: { BERTH_HTTP_TRUSTED_PROXIES: "10.0.0.0/8, fd00::/8,127.0.0.2" } });

  test("all of them at once", async () => {
    const seen = await seenBy(registry, forged);
    expect(seen.realm).toBe(`${registry.server().url}/token`);
    expect(new Set(seen.logged.map(([, address]) => address))).toEqual(new Set(["127.0.0.1"]));
    const notices = registry
      .server()
      .log()
      .filter(({ event }) => event.startsWith("forwarding headers are ignored"));
    expect(notices).toHaveLength(1);
  });
});

describe("where http.publicUrl is set, it is the realm's, whatever a client says of Host", () => {
  const publicUrl = "https://registry.example:8443";
  const registry = useRegistry({ env: { BERTH_HTTP_PUBLIC_URL: publicUrl } });

  for (const host of [undefined, evil, `${evil}:443`, "[::1]:5000", "REGISTRY.EXAMPLE"]) {
    test(host ?? "its own address", async () => {
      const headers = { ...forged, ...(host !== undefined && { Host: host }) };
      const answer = await registry.as(undefined).send("GET", "/v2/", { headers });
      expect(challengeOf(answer).realm).toBe(`${publicUrl}/token`);
      const upload = await registry.send("POST", "/v2/acme/app/blobs/uploads/", { headers, body: "" });
      expect(locationOf(upload)).toStartWith("/v2/acme/app/blobs/uploads/");
    });
  }
});

describe("failed sign-ins", () => {
  const registry = useRegistry();

  test("have one counter, whatever address each of them claims", async () => {
    const statuses: number[] = [];
    for (const [attempt, name] of Object.keys(forged).slice(0, 12).entries()) {
      const claims = Object.fromEntries(
        Object.keys(forged).map((header) => [header, `198.51.100.${String(attempt)}, 127.0.0.1`]),
      );
      const answer = await registry.as(basic("admin", `wrong ${name}`)).send("GET", "/v2/", { headers: claims });
      statuses.push(answer.status);
    }
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const headers = { "X-Forwarded-For": "192.0.2.200", "X-Real-IP": "192.0.2.200" };
    const right = await registry.as(adminBasic(registry)).send("GET", "/v2/", { headers });
    expect(right.status).toBe(429);
  });
});
