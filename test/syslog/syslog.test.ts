import { expect, it } from "bun:test";
import { freshName, password } from "../api/checked-api.ts";
import { basic } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/workers.ts";
import { missingRsyslog, openRsyslog } from "./rsyslog.ts";

const asAdmin = ({ admin }: TestServer) => ({ authorization: basic(admin.username, admin.password) });

const makeAccount = async (server: TestServer, name: string): Promise<void> => {
  const made = await fetch(new URL("/api/v1/accounts", server.url), {
    method: "POST",
    headers: { ...asAdmin(server), "content-type": "application/json" },
    body: JSON.stringify({ name, password }),
  });
  expect(made.status).toBe(201);
};

requirement("rsyslog", missingRsyslog, () => {
  it("gets every entry, also of the time in which it was down", async () => {
    await using collector = await openRsyslog();
    collector.start();
    await using server = await startServer({ env: { BERTH_AUDIT_SYSLOG_URL: `tcp://127.0.0.1:${collector.port}` } });
    const told = async (name: string): Promise<boolean> =>
      (await collector.messages()).some((line) => line.includes("account-created") && line.includes(`"${name}"`));
    const [early, late] = [freshName("early"), freshName("late")];
    await makeAccount(server, early);
    await until("the collector has it", () => told(early));
    await collector.kill();
    await makeAccount(server, late);
    await until("somebody waits", async () => {
      const text = await (await fetch(new URL("/metrics", server.url))).text();
      return /^berth_audit_syslog_pending [1-9]/m.test(text);
    });
    collector.start();
    await until("the collector has that too", () => told(late));
    const messages = await collector.messages();
    const parsed = messages.map((line) => /^(\d+) (\d+) (\S+) (.*)$/.exec(line) ?? []);
    for (const [, facility, severity, type, text = ""] of parsed) {
      const entry = JSON.parse(text) as { readonly id: number; readonly action: string; readonly outcome: string };
      expect([facility, type, severity]).toEqual(["13", entry.action, entry.outcome === "refused" ? "4" : "6"]);
    }
    const ids = [...new Set(parsed.map(([, , , , text = ""]) => (JSON.parse(text) as { readonly id: number }).id))];
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, index) => index + 1));
    expect(messages.join("\n")).not.toContain(password);
  }, 180_000);

  it("gets entries over UDP", async () => {
    await using collector = await openRsyslog();
    collector.start();
    await using server = await startServer({ env: { BERTH_AUDIT_SYSLOG_URL: `udp://127.0.0.1:${collector.port}` } });
    // Nobody knows when it listens, and what comes before is lost.
    await until("it has some", async () => {
      await makeAccount(server, freshName("datagram"));
      return (await collector.messages()).some((line) => line.includes("account-created"));
    });
  }, 180_000);
});
