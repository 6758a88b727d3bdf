import { expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { basic } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { baseDn, missingSlapd, person, readerDn, readerPassword, startSlapd } from "./slapd.ts";

setDefaultTimeout(120_000);

const berth = resolve(import.meta.dir, "../../bin/berth");
const right = "a right password";
const devs = `cn=devs,ou=groups,${baseDn}`;
const entries = [
  person("ann", right),
  person("bob", right),
  `dn: ${devs}\nobjectClass: groupOfNames\ncn: devs\nmember: uid=ann,ou=people,${baseDn}\nmember: uid=bob,ou=people,${baseDn}\n\n`,
].join("");

requirement("a team of a group", missingSlapd, () => {
  test("pushes where the team may, and ends with the group", async () => {
    await using slapd = await startSlapd({ entries });
    const sources = [
      {
        name: "corp",
        kind: "ldap",
        urls: [slapd.ldapUrl],
        bindDn: readerDn,
        bindPassword: readerPassword,
        caFile: slapd.caFile,
        user: { baseDn: `ou=people,${baseDn}`, filter: "(objectClass=inetOrgPerson)" },
        groups: { baseDn: `ou=groups,${baseDn}` },
      },
    ];
    const env = { BERTH_ACCESS_SOURCES: JSON.stringify(sources) };
    await using server = await startServer({ env });
    const run = async (...args: readonly string[]) => {
      const child = Bun.spawn([berth, ...args, "--data", server.data], {
        env: { ...process.env, ...env },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
      return { code: await child.exited, out, error };
    };
    const push = async (name: string): Promise<number> =>
      (
        await fetch(`${server.url}/v2/acme/app/blobs/uploads/`, {
          method: "POST",
          headers: { authorization: basic(name, right) },
        })
      ).status;
    const until = async (name: string, wanted: (status: number) => boolean): Promise<void> => {
      for (const deadline = Date.now() + 60_000; !wanted(await push(name));) {
        if (Date.now() > deadline) throw new Error(`${name} still has ${await push(name)}`);
        await Bun.sleep(50);
      }
    };
    for (const command of [
      ["org", "create", "acme"],
      ["team", "create", "acme/devs"],
      ["grant", "add", "developer", "--team", "acme/devs", "--org", "acme"],
    ]) {
      expect(await run(...command)).toMatchObject({ code: 0, error: "" });
    }
    await server.logged();
    expect(await push("ann")).not.toBe(202);
    const added = await run("team", "group", "add", "acme/devs", devs.toUpperCase(), "--source", "corp");
    expect(added).toMatchObject({ code: 0, error: "" });
    expect((await run("team", "group", "list", "acme/devs", "--json")).out).toBe(
      `${JSON.stringify({ source: "corp", group: devs })}\n`,
    );
    // Who has signed in before, by the next look; who signs in for the first time, at once.
    await until("ann", (status) => status === 202);
    expect(await push("bob")).toBe(202);

    await slapd.change(`dn: ${devs}\nchangetype: modify\ndelete: member\nmember: uid=ann,ou=people,${baseDn}\n`);
    expect((await run("jobs", "run", "sources")).code).toBe(0);
    await until("ann", (status) => status !== 202);
    expect(await push("bob")).toBe(202);

    expect((await run("team", "group", "remove", "acme/devs", devs, "--source", "corp")).code).toBe(0);
    expect(await push("bob")).not.toBe(202);
    expect(await run("team", "group", "add", "acme/devs", "devs", "--source", "corp")).toMatchObject({
      code: 2,
      error: "berth: devs is no name of a group: a directory has DNs\n",
    });
    expect((await run("team", "group", "add", "acme/devs", devs, "--source", "other")).code).toBe(2);
  });
});
