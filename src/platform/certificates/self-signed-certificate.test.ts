import { expect, it } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { selfSignedCertificate } from "./self-signed-certificate.ts";

const from = new Date("2026-01-02T03:04:05Z");
const make = (hosts: readonly string[], until = new Date("2027-01-02T03:04:05Z")) => {
  const { certPem, keyPem } = selfSignedCertificate({ hosts, from, until });
  return { certificate: new X509Certificate(certPem), key: createPrivateKey(keyPem) };
};

it("is signed by its own key, for these hosts alone, and is no authority", () => {
  const { certificate, key } = make(["registry.lan", "10.1.2.3", "2001:db8::1"]);
  expect(certificate.checkPrivateKey(key)).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
  expect(certificate.checkHost("registry.lan")).toBe("registry.lan");
  expect(certificate.checkHost("other.lan")).toBeUndefined();
  expect(certificate.checkIP("10.1.2.3")).toBe("10.1.2.3");
  expect(certificate.checkIP("2001:db8::1")).toBe("2001:db8::1");
  expect(certificate.checkIP("10.1.2.4")).toBeUndefined();
});

it("is good for the time it was asked for, also beyond 2049", () => {
  expect(make(["a"]).certificate.validFromDate).toEqual(from);
  const late = new Date("2051-06-07T08:09:10Z");
  expect(make(["a"], late).certificate.validToDate).toEqual(late);
});

it("is another one every time", () => {
  const serials = Array.from({ length: 200 }, () => make(["a"]).certificate.serialNumber);
  expect(new Set(serials).size).toBe(200);
  // Of one length: none has lost or won a byte at its front.
  expect(new Set(serials.map((serial) => serial.length))).toEqual(new Set([32]));
});

it("has a short name where the host's is longer than a name may be", () => {
  const host = `${"a".repeat(60)}.${"b".repeat(60)}.lan`;
  const { certificate } = make([host]);
  expect(certificate.subject).toBe("CN=berth");
  expect(certificate.checkHost(host)).toBe(host);
});
