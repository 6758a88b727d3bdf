import { expect, it } from "bun:test";
import { isIssuerUrl, issuerUrl } from "./issuer-schema.ts";

it.each([
  "https://token.actions.githubusercontent.com",
  "https://gitlab.example.org:8443/path/",
  "http://127.0.0.1:8080",
  "http://localhost/realms/x",
  "http://[::1]:1",
])("%s may be an issuer", (text) => expect(isIssuerUrl(text)).toBe(true));

it.each([
  "",
  "issuer.example",
  "http://issuer.example",
  "http://10.0.0.1",
  "http://localhost.example",
  "https://user@issuer.example",
  "https://issuer.example/?a=b",
  "https://issuer.example/#a",
  "https://issuer.example/a b",
  "https://issuer.example\\@evil.example",
  "https://issuer.examplé",
  "ftp://issuer.example",
  "file:///etc/passwd",
])("%s may not", (text) => expect(isIssuerUrl(text)).toBe(false));

it("says what it must be", () => {
  expect(issuerUrl.safeParse(`https://${"a".repeat(600)}.example`).success).toBe(false);
  expect(issuerUrl.safeParse("http://issuer.example").error?.issues[0]?.message).toContain("must be https://");
});
