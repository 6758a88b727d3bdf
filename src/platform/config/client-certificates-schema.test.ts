import { expect, test } from "bun:test";
import { inspectConfig } from "./load-config.ts";

const prefix = "BERTH_ACCESS_CLIENT_CERTIFICATES_";
const tls = { BERTH_TLS_CERT_FILE: "server.crt", BERTH_TLS_KEY_FILE: "server.key" };

function problemsOf(settings: Readonly<Record<string, string>>, own: Readonly<Record<string, string>> = tls): string {
  const named = Object.fromEntries(Object.entries(settings).map(([name, text]) => [`${prefix}${name}`, text]));
  return inspectConfig({ file: undefined, flags: {}, environment: { ...own, ...named } }).problems.join("\n");
}

const rules = '[{"field":"uri","value":"spiffe://example.org/ci","robot":"robot$ci"}]';

test("clients are asked for certificates that say something, over TLS of the server's own", () => {
  expect(problemsOf({})).toBe("");
  for (const use of [{ RULES: rules }, { ACCOUNT: "email" }, { REQUIRED: "true" }])
    expect(problemsOf({ CA_FILE: "clients.pem", ...use })).toBe("");
  expect(problemsOf({ CA_FILE: "clients.pem", REQUIRED: "true" }, {})).toContain("tls.certFile");
});

test.each([
  [{ CA_FILE: "clients.pem" }, "caFile"],
  [{ REQUIRED: "true" }, "required"],
  [{ RULES: rules }, "rules"],
  [{ ACCOUNT: "uri" }, "account"],
  [{ CA_FILE: "clients.pem", ACCOUNT: "subject" }, "account"],
])("%p does not start, for %s", (settings, named) => {
  expect(problemsOf(settings)).toContain(`access.clientCertificates.${named}`);
});
