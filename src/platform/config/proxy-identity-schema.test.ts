import { expect, test } from "bun:test";
import { inspectConfig } from "./load-config.ts";

const problemsOf = (identity: Readonly<Record<string, string>>): readonly string[] =>
  inspectConfig({
    file: undefined,
    flags: {},
    environment: Object.fromEntries(
      Object.entries(identity).map(([name, text]) => [`BERTH_ACCESS_PROXY_IDENTITY_${name}`, text]),
    ),
  }).problems;

const whole = {
  NETWORKS: "127.0.0.1",
  USER_HEADER: "X-Remote-User",
  CERTIFICATE_HEADER: "Client-Cert",
  CERTIFICATE_CA_FILE: "clients.pem",
  CERTIFICATE_RULES: '[{"field":"uri","value":"spiffe://example.org/ci","robot":"robot$ci"}]',
};

test("a proxy says who it is with all that this takes, or not at all", () => {
  expect(problemsOf({})).toEqual([]);
  expect(problemsOf(whole)).toEqual([]);
  expect(problemsOf({ NETWORKS: "10.0.0.0/8", USER_HEADER: "remote-user" })).toEqual([]);
});

test.each([
  [{ USER_HEADER: "remote-user" }, "networks"],
  [{ NETWORKS: "127.0.0.1" }, "userHeader"],
  // From everyone, anyone would be anyone.
  [{ NETWORKS: "0.0.0.0/0", USER_HEADER: "remote-user" }, "networks"],
  [{ NETWORKS: "*", USER_HEADER: "remote-user" }, "networks"],
  [{ ...whole, USER_HEADER: "Authorization" }, "userHeader"],
  [{ ...whole, USER_HEADER: "remote_user" }, "userHeader"],
  [{ ...whole, USER_HEADER: "client-cert" }, "userHeader"],
  [{ NETWORKS: "127.0.0.1", CERTIFICATE_HEADER: "client-cert" }, "certificateCaFile"],
  [{ NETWORKS: "127.0.0.1", CERTIFICATE_HEADER: "client-cert", CERTIFICATE_CA_FILE: "a" }, "certificateRules"],
  [{ NETWORKS: "127.0.0.1", USER_HEADER: "remote-user", CERTIFICATE_CA_FILE: "a" }, "certificateCaFile"],
  [{ ...whole, CERTIFICATE_RULES: '[{"field":"uri","value":"a"}]' }, "certificateRules"],
  [{ ...whole, CERTIFICATE_RULES: '[{"field":"uri","value":"a","account":"b","robot":"c"}]' }, "certificateRules"],
  [{ ...whole, CERTIFICATE_ACCOUNT: "subject" }, "certificateAccount"],
])("%p does not start, for %s", (identity, named) => {
  expect(problemsOf(identity).join("\n")).toContain(named);
});
