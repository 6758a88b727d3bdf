import { expect, it } from "bun:test";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requirement } from "../../../test/support/requirement.ts";
import { challengeCertificate } from "./challenge-certificate.ts";
import { certificateRequest } from "./certificate-request.ts";

const openssl = Bun.which("openssl");

async function inspect(name: string, content: string | Uint8Array, ...command: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-csr-"));
  try {
    await writeFile(join(folder, name), content);
    const child = Bun.spawn([openssl ?? "", ...command, "-in", join(folder, name)], { stdout: "pipe", stderr: "pipe" });
    return `${await new Response(child.stdout).text()}${await new Response(child.stderr).text()}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

requirement("requests and openssl", openssl === null ? "openssl is not installed" : undefined, () => {
  it("is a request that openssl verifies, for all of its hosts", async () => {
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const der = certificateRequest({ hosts: ["a.example.org", "b.example.org"], ...keys });
    const told = await inspect("csr", der, "req", "-inform", "DER", "-noout", "-verify", "-text");
    expect(told).toContain("verify OK");
    expect(told).toContain("DNS:a.example.org, DNS:b.example.org");
  });

  it("a validation's certificate holds the digest of the answer, and clients must know of it", async () => {
    const { certPem } = challengeCertificate("a.example.org", "a token.a thumbprint");
    expect(new X509Certificate(certPem).checkHost("a.example.org")).toBe("a.example.org");
    const told = await inspect("crt", certPem, "x509", "-noout", "-text");
    expect(told).toMatch(/1\.3\.6\.1\.5\.5\.7\.1\.31: critical/);
  });
});
