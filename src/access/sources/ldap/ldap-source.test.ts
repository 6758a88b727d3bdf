import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  baseDn,
  missingSlapd,
  person,
  readerDn,
  readerPassword,
  type Slapd,
  startSlapd,
} from "../../../../test/directory/slapd.ts";
import { directoryOf } from "../../../../test/directory/directory-of.ts";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { requirement } from "../../../../test/support/requirement.ts";
import type { PasswordSource, SourceAnswer } from "../source.ts";

/** A directory starts in its own process. */
setDefaultTimeout(60_000);

const right = "a right password";

/** Of which none is anybody's, whatever else they say. */
const hostileNames = [
  "*",
  "ann*",
  "*)(uid=*",
  "ann)(objectClass=*",
  "(|(uid=ann)(uid=bob))",
  String.raw`\61nn`,
  "ann\0",
  "\0",
  "an\u00adn",
  "x".repeat(300),
];

const guid = Buffer.from("00112233445566778899aabbccddeeff", "hex").toString("base64");
const manyPeople = 3000;

const entries = [
  person("ann", right),
  person("Bob", right),
  person("jörg", right),
  person("o'brien, jr.", right),
  person("twin", right),
  person("gone", right, ["objectClass: adPerson", "userAccountControl: 514"]),
  person("here", right, ["objectClass: adPerson", "userAccountControl: 512"]),
  person("guid", right, ["objectClass: adPerson", `objectGUID:: ${guid}`]),
  `dn: uid=twin,ou=groups,${baseDn}\nobjectClass: inetOrgPerson\nuid: twin\ncn: twin\nsn: twin\nuserPassword: ${right}\n\n`,
  // Nothing listens there, and nobody may try.
  `dn: ou=elsewhere,${baseDn}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://127.0.0.1:9/\n\n`,
  ...Array.from({ length: manyPeople }, (_, at) => person(`many${at}`, right)),
].join("");

interface Wish {
  readonly url: string;
  readonly [setting: string]: unknown;
}

function source(slapd: Slapd, { url, user = {}, ...more }: Wish): PasswordSource {
  const settings = {
    name: "corp",
    kind: "ldap",
    urls: [url],
    bindDn: readerDn,
    bindPassword: readerPassword,
    caFile: slapd.caFile,
    connectTimeoutSeconds: 5,
    operationTimeoutSeconds: 5,
    user: { baseDn, filter: "(objectClass=inetOrgPerson)", ...(user as object) },
    ...more,
  };
  return directoryOf(settings);
}

const kindOf = async (answer: Promise<SourceAnswer>): Promise<string> =>
  answer.then(
    ({ kind }) => kind,
    (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : "?"),
  );

const subjectOf = async (corp: PasswordSource, name: string): Promise<string> => {
  const answer = await corp.authenticate(name, right);
  if (answer.kind !== "identity") throw new Error(`${name} is ${answer.kind}`);
  return answer.identity.subject;
};

requirement("an LDAP source", missingSlapd, () => {
  let slapd: Slapd;
  beforeAll(async () => {
    slapd = await startSlapd({ entries });
  });
  afterAll(() => slapd[Symbol.asyncDispose]());

  describe.each(["ldapsUrl", "ldapUrl"] as const)("over %s", (url) => {
    const open = (more: Readonly<Record<string, unknown>> = {}): PasswordSource =>
      source(slapd, { url: slapd[url], ...more });

    test("tells the right password from all others", async () => {
      const corp = open();
      expect(await corp.authenticate("ann", right)).toMatchObject({
        kind: "identity",
        identity: { name: "ann", displayName: "ann", email: "ann@example.org" },
      });
      expect(await kindOf(corp.authenticate("ann", `${right} `))).toBe("wrong");
      expect(await kindOf(corp.authenticate("nobody", right))).toBe("unknown");
    });

    test("lets nobody in with an empty password, and shows it to nobody", async () => {
      expect(await kindOf(open().authenticate("ann", ""))).toBe("wrong");
      expect(await kindOf(open().authenticate("ann", undefined))).toBe("unknown");
    });

    test("believes no certificate but the right one", async () => {
      await using other = await startSlapd({ hosts: ["directory.example"] });
      const stranger = open({ caFile: other.caFile });
      expect(await kindOf(stranger.authenticate("ann", right))).toStartWith("SourceUnavailable: tls: ");
      const elsewhere = source(other, { url: other[url] });
      expect(await kindOf(elsewhere.authenticate("ann", right))).toStartWith("SourceUnavailable: tls: ");
      const careless = source(other, { url: other[url], verifyCertificate: false });
      expect(await kindOf(careless.authenticate("ann", right))).toBe("unknown");
    });
  });

  const open = (more: Readonly<Record<string, unknown>> = {}): PasswordSource =>
    source(slapd, { url: slapd.ldapsUrl, ...more });

  test.each(hostileNames)("takes %j for a name that nobody has", async (name) => {
    expect(await kindOf(open().authenticate(name, right))).toBe("unknown");
  });

  test("finds names with any letters and signs", async () => {
    for (const name of ["bob", "jörg", "o'brien, jr."]) {
      expect(await open().authenticate(name, right)).toMatchObject({ kind: "identity", identity: { name } });
    }
  });

  test("cannot tell who is meant where two entries match", async () => {
    const answer = await open().authenticate("twin", right);
    expect(answer).toEqual({ kind: "unclear", why: "more than one entry has the name" });
  });

  test("leaves out whom the filter leaves out: accounts that are disabled in Active Directory", async () => {
    const filter = "(&(objectClass=inetOrgPerson)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))";
    const corp = open({ user: { filter } });
    expect(await kindOf(corp.authenticate("gone", right))).toBe("unknown");
    expect(await kindOf(corp.authenticate("here", right))).toBe("identity");
  });

  test("a filter may have escaped characters", async () => {
    const corp = open({ user: { filter: String.raw`(uid=j\c3\b6rg)` } });
    expect(await kindOf(corp.authenticate("jörg", right))).toBe("identity");
    expect(await kindOf(corp.authenticate("ann", right))).toBe("unknown");
  });

  test("knows entries by objectGUID, as Active Directory shows it", async () => {
    const corp = open({ user: { idAttribute: "objectGUID" } });
    const subject = "33221100-5544-7766-8899-aabbccddeeff";
    expect(await subjectOf(corp, "guid")).toBe(subject);
    expect([...(await corp.confirm([subject, "00000000-0000-0000-0000-000000000000"])).keys()]).toEqual([subject]);
    expect(await kindOf(corp.authenticate("ann", right))).toBe("unclear");
  });

  test("confirms those who are still there, many at once", async () => {
    const corp = open();
    const known = await Promise.all(Array.from({ length: 8 }, (_, at) => subjectOf(corp, `many${at}`)));
    const strangers = Array.from({ length: 200 }, () => crypto.randomUUID());
    const confirmed = await corp.confirm([...strangers, ...known]);
    expect([...confirmed.keys()].toSorted()).toEqual(known.toSorted());
    expect(confirmed.get(known[0] ?? "")?.name).toBe("many0");
  });

  test("follows no referral", async () => {
    expect(await kindOf(open().authenticate("ann", right))).toBe("identity");
    const away = open({ user: { baseDn: `ou=elsewhere,${baseDn}` } });
    expect(await kindOf(away.authenticate("ann", right))).toStartWith("SourceUnavailable: search: code 10");
  });

  test("says that it cannot look people up, and why", async () => {
    const wrong = open({ bindPassword: "not this one" });
    expect(await kindOf(wrong.authenticate("ann", right))).toBe(
      "SourceUnavailable: bind: it refuses bindDn with its password",
    );
    const file = open({ bindPassword: undefined, bindPasswordFile: join(slapd.folder, "none") });
    expect(await kindOf(file.authenticate("ann", right))).toContain("bindPasswordFile: ");
    await writeFile(join(slapd.folder, "password"), `${readerPassword}\n`);
    const fromFile = open({ bindPassword: undefined, bindPasswordFile: join(slapd.folder, "password") });
    expect(await kindOf(fromFile.authenticate("ann", right))).toBe("identity");
    const nobody = open({ bindDn: undefined, bindPassword: undefined });
    expect(await kindOf(nobody.authenticate("ann", right))).toBe("SourceUnavailable: search: code 32");
  });

  test("says nothing at all to a server without TLS", async () => {
    await using plain = await startSlapd({ withoutTls: true });
    const corp = source(plain, { url: plain.ldapUrl });
    expect(await kindOf(corp.authenticate("ann", right))).toStartWith("SourceUnavailable: tls: StartTLS is refused");
  });

  test("goes on with the next address where one is dead", async () => {
    const corp = open({ urls: ["ldaps://127.0.0.1:9", slapd.ldapUrl] });
    expect(await kindOf(corp.authenticate("ann", right))).toBe("identity");
  });

  test("gives up on a directory that hangs or is away, and finds it again", async () => {
    await using other = await startSlapd({ entries: person("ann", right) });
    const corp = source(other, { url: other.ldapsUrl, connectTimeoutSeconds: 1, operationTimeoutSeconds: 1 });
    expect(await kindOf(corp.authenticate("ann", right))).toBe("identity");
    other.signal("SIGSTOP");
    expect(await kindOf(corp.authenticate("ann", right))).toBe("SourceUnavailable: tls: no answer in time");
    other.signal("SIGCONT");
    expect(await kindOf(corp.authenticate("ann", right))).toBe("identity");
    await other.kill();
    expect(await kindOf(corp.authenticate("ann", right))).toStartWith("SourceUnavailable: connect: ECONNREFUSED");
    await other.start();
    expect(await kindOf(corp.authenticate("ann", right))).toBe("identity");
  });

  test("can be tried out, step by step", async () => {
    const steps = await Array.fromAsync(open().test("ANN"));
    expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
      ["connect", true],
      ["bind", true],
      ["find", true],
    ]);
    expect(steps.at(-1)?.detail).toStartWith(`uid=ann,ou=people,${baseDn}, entryUUID `);
    const [, bind] = await Array.fromAsync(open({ bindPassword: "wrong" }).test(undefined));
    expect(bind).toEqual({ step: "bind", ok: false, detail: "it refuses bindDn with its password" });
    const nobody = (await Array.fromAsync(open().test("nobody"))).at(-1);
    expect(nobody).toMatchObject({ step: "find", ok: false });
  });
});
