import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ldapSource } from "../../src/access/sources/ldap/ldap-source.ts";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { sourcesSchema } from "../../src/platform/config/sources-schema.ts";
import { baseDn, groupDn, password } from "./chain-entries.ts";

const dayMs = 86_400_000;
const used = new AsyncDisposableStack();
let caFile = "";
let url = "";

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-chain-"));
  used.defer(() => rm(folder, { recursive: true, force: true }));
  const [from, until] = [new Date(Date.now() - dayMs), new Date(Date.now() + dayMs)];
  const { certPem, keyPem } = selfSignedCertificate({ hosts: ["127.0.0.1"], from, until });
  caFile = join(folder, "server.crt");
  await writeFile(caFile, certPem);
  await writeFile(join(folder, "server.key"), keyPem);
  const program = resolve(import.meta.dir, "chain-directory.ts");
  const child = Bun.spawn([process.execPath, program, caFile, join(folder, "server.key")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  used.defer(async () => {
    await child.stdin.end();
    await child.exited;
  });
  const { value } = await child.stdout.getReader().read();
  url = `ldaps://127.0.0.1:${Buffer.from(value ?? [])
    .toString()
    .trim()}`;
}, 30_000);
afterAll(() => used.disposeAsync());

async function groupsOf(name: string, nested: string): Promise<readonly string[]> {
  const [settings] = sourcesSchema.parse([
    {
      name: "corp",
      kind: "ldap",
      urls: [url],
      caFile,
      bindDn: `cn=reader,${baseDn}`,
      bindPassword: password,
      user: { baseDn: `ou=people,${baseDn}` },
      groups: { baseDn: `ou=groups,${baseDn}`, nested },
    },
  ]);
  if (settings?.kind !== "ldap") throw new Error("it is no directory");
  const answer = await ldapSource(settings).authenticate(name, password);
  return answer.kind === "identity" ? answer.identity.groups.toSorted() : [answer.kind];
}

test("groups in groups are followed by the directory itself, where it knows Active Directory's rule", async () => {
  const all = ["inner", "middle", "outer"].map(groupDn);
  expect(await groupsOf("ann", "chain")).toEqual(all);
  expect(await groupsOf("ann", "walk")).toEqual(all);
  expect(await groupsOf("ann", "none")).toEqual([groupDn("inner")]);
  expect(await groupsOf("bob", "chain")).toEqual([groupDn("others")]);
}, 30_000);
