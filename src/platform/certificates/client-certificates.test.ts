import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { type Authority, openAuthority } from "../../../test/support/authority.ts";
import { requirement } from "../../../test/support/requirement.ts";
import { clientCertificates, readAuthorities } from "./client-certificates.ts";

const dayMs = 86_400_000;
const der = (pem: string): Uint8Array => new X509Certificate(pem).raw;

requirement("certificates of clients", Bun.which("openssl") === null ? "openssl is not installed" : undefined, () => {
  let own: Authority;
  let other: Authority;
  beforeAll(async () => {
    [own, other] = [await openAuthority("Own"), await openAuthority("Own")];
  });
  afterAll(async () => {
    await own[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });
  const reader = async (now = Date.now) => clientCertificates(await readAuthorities("a setting", own.certFile), now);

  test("tell whom they are for", async () => {
    const { pem } = await own.issue("ci", {
      subject: "/O=Example/CN=ci",
      alternativeNames:
        "URI:spiffe://example.org/ci,email:ci@example.org,DNS:ci.example.org,DNS:b.example.org,IP:192.0.2.1",
      use: "clientAuth",
    });
    expect((await reader())(der(pem))).toEqual({
      commonName: ["ci"],
      uri: ["spiffe://example.org/ci"],
      email: ["ci@example.org"],
      dns: ["ci.example.org", "b.example.org"],
      validUntil: new X509Certificate(pem).validToDate.getTime(),
    });
    const plain = await own.issue("plain", { subject: "/CN=acme\\+ci" });
    expect((await reader())(der(plain.pem))).toMatchObject({ commonName: ["acme+ci"], uri: [], email: [], dns: [] });
  });

  test("count where they are signed here, valid now and for clients, and nowhere else", async () => {
    const good = await own.issue("good", { subject: "/CN=ann" });
    const forServers = await own.issue("server", { subject: "/CN=ann", use: "serverAuth" });
    // An authority of the same name, and another key.
    const foreign = await other.issue("foreign", { subject: "/CN=ann" });
    const read = await reader();
    expect(read(der(good.pem))).toMatchObject({ commonName: ["ann"] });
    expect(read(der(forServers.pem))).toBeUndefined();
    expect(read(der(foreign.pem))).toBeUndefined();
    expect(read(der(await Bun.file(own.certFile).text()))).toBeUndefined();
    for (const moved of [-dayMs, 6 * dayMs, 10 * dayMs]) {
      expect((await reader(() => Date.now() + moved))(der(good.pem))).toBeUndefined();
    }
    const changed = Uint8Array.from(der(good.pem));
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(read(changed)).toBeUndefined();
    for (const bytes of [new Uint8Array(), Buffer.from("no certificate"), der(good.pem).subarray(0, 99)]) {
      expect(read(bytes)).toBeUndefined();
    }
  });

  test("name nobody by what only looks like a name", async () => {
    const read = await reader();
    for (const [at, subject] of [
      "/CN=ann/CN=bob",
      "/O=x+CN=ann",
      "/O=Example",
      "/O=x\nCN=ann",
      "/CN=ann\nCN=bob",
      "/CN=änn\u0001",
    ].entries()) {
      const { pem } = await own.issue(`odd-${String(at)}`, { subject });
      expect(read(der(pem))?.commonName, subject).toEqual([]);
    }
    const joined = await own.issue("joined", {
      subject: "/CN=x",
      alternativeNames: "URI:https://example.org/a\\, DNS:evil.example.org",
    });
    expect(read(der(joined.pem))?.dns ?? []).not.toContain('evil.example.org"');
  });

  test("are not read where what should be authorities is something else", async () => {
    const { certFile, keyFile } = await own.issue("leaf", { subject: "/CN=ann" });
    for (const file of [certFile, keyFile, `${certFile}.absent`]) {
      const [outcome] = await Promise.allSettled([readAuthorities("a setting", file)]);
      expect(outcome.status === "rejected" && String(outcome.reason)).toStartWith("CertificateError: a setting: ");
    }
  });
});
