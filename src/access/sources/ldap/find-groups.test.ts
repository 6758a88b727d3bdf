import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
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
import { requirement } from "../../../../test/support/requirement.ts";

setDefaultTimeout(60_000);

const right = "a right password";
const groupsDn = `ou=groups,${baseDn}`;
const personDn = (uid: string): string => `uid=${uid},ou=people,${baseDn}`;
const groupDn = (cn: string): string => `cn=${cn},${groupsDn}`;
const group = (cn: string, members: readonly string[]): string =>
  [
    `dn: ${groupDn(cn)}`,
    "objectClass: groupOfNames",
    `cn: ${cn}`,
    ...members.map((dn) => `member: ${dn}`),
    "",
    "",
  ].join("\n");

const manyPeople = 3000;
const many = Array.from({ length: manyPeople }, (_, at) => `many${at}`);

/** `level5` holds ann, each level the one below it, and `level5` the first: a circle. */
const entries = [
  ...["ann", "bob", "cleo", ...many].map((uid) => person(uid, right)),
  group("level5", [personDn("ann"), groupDn("level1")]),
  ...[4, 3, 2, 1].map((level) => group(`level${level}`, [groupDn(`level${level + 1}`)])),
  group("Others", [personDn("bob")]),
  group("everyone", many.map(personDn)),
  group("itself", [groupDn("itself"), personDn("bob")]),
  `dn: cn=posix,${groupsDn}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1\nmemberUid: bob\n\n`,
].join("");

const cleo = (how: "add" | "delete"): string =>
  `dn: ${groupDn("Others")}\nchangetype: modify\n${how}: member\nmember: ${personDn("cleo")}\n`;

requirement("groups of a directory", missingSlapd, () => {
  let slapd: Slapd;
  beforeAll(async () => {
    slapd = await startSlapd({ entries });
  });
  afterAll(() => slapd[Symbol.asyncDispose]());

  const groupsOf = async (name: string, groups: object = {}): Promise<readonly string[]> => {
    const corp = directoryOf({
      name: "corp",
      kind: "ldap",
      urls: [slapd.ldapsUrl],
      bindDn: readerDn,
      bindPassword: readerPassword,
      caFile: slapd.caFile,
      user: { baseDn, filter: "(objectClass=inetOrgPerson)" },
      groups: { baseDn: groupsDn, ...groups },
    });
    const answer = await corp.authenticate(name, right);
    if (answer.kind !== "identity") throw new Error(`${name} is ${answer.kind}`);
    return answer.identity.groups.map((dn) => dn.slice(3, dn.indexOf(","))).toSorted();
  };

  test("are those that hold somebody through others too, five deep and in a circle", async () => {
    expect(await groupsOf("ann")).toEqual(["level1", "level2", "level3", "level4", "level5"]);
    expect(await groupsOf("bob")).toEqual(["itself", "others"]);
    expect(await groupsOf("cleo")).toEqual([]);
    expect(await groupsOf("ann", { nested: "none" })).toEqual(["level5"]);
  });

  test("may have thousands of members", async () => {
    expect(await groupsOf("many2999")).toEqual(["everyone"]);
  });

  test("may know their members by name", async () => {
    const posix = { filter: "(objectClass=posixGroup)", memberAttribute: "memberUid" };
    expect(await groupsOf("bob", posix)).toEqual(["posix"]);
    expect(await groupsOf("ann", posix)).toEqual([]);
  });

  test("are no more than their filter and place", async () => {
    expect(await groupsOf("ann", { filter: "(cn=level5)" })).toEqual(["level5"]);
    expect(await groupsOf("ann", { baseDn: `ou=people,${baseDn}` })).toEqual([]);
  });

  test("that somebody is taken out of count no more", async () => {
    await slapd.change(cleo("add"));
    expect(await groupsOf("cleo")).toEqual(["others"]);
    await slapd.change(cleo("delete"));
    expect(await groupsOf("cleo")).toEqual([]);
  });

  test("may be told by those who are in them", async () => {
    await using other = await startSlapd({
      settings: ["moduleload memberof", "overlay memberof"],
      entries: ["ann", "bob"].map((uid) => person(uid, right)).join(""),
    });
    await other.change(
      [group("devs", [personDn("ann")]), group("staff", [groupDn("devs")])]
        .map((entry) => entry.replace("\n", "\nchangetype: add\n"))
        .join(""),
    );
    const own = slapd;
    slapd = other;
    try {
      expect(await groupsOf("ann", { membershipAttribute: "memberOf" })).toEqual(["devs", "staff"]);
      expect(await groupsOf("ann", { membershipAttribute: "memberOf", nested: "none" })).toEqual(["devs"]);
      expect(await groupsOf("bob", { membershipAttribute: "memberOf" })).toEqual([]);
    } finally {
      slapd = own;
    }
  });
});
