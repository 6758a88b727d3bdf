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
import { requirement } from "../../../../test/support/requirement.ts";
import { sourcesSchema } from "../../../platform/config/sources-schema.ts";
import type { Source, SourceAnswer } from "../source.ts";
import { sourceOf } from "../source-of.ts";

/** A directory starts in its own process. */
setDefaultTimeout(60_000);

const right = "a right password";

const hostileNames = [
  "*",
  "*)(uid=*",
  "ann)(objectClass=*",
  "(|(uid=ann)(uid=bob))",
  "ann\0",
  "\0",
  "ann*",
  "\\61nn",
  "an\u00adn",
];

const manyPeople = 3000;

const entries = [
  person("ann", right),
  person("Bob", right),
  person("jörg", right),
  person("o'brien, jr.", right),
  person("twin", right),
  person("gone", right, ["objectClass: adPerson", "userAccountControl: 514"]),
  person("here", right, ["objectClass: adPerson", "userAccountControl: 512"]),
  person("guid", right, [
    "objectClass: adPerson",
    `objectGUID:: ${Buffer.from("00112233445566778899aabbccddeeff", "hex").toString("base64")}`,
  ]),
  `dn: uid=twin,ou=groups,${baseDn}\nobjectClass: inetOrgPerson\nuid: twin\ncn: twin\nsn: twin\nuserPassword: ${right}\n\n`,
  ...Array.from({ length: manyPeople }, (_, at) => person(`many${at}`, right)),
].join("");

interface Wish {
  readonly url: string;
  readonly [setting: string]: unknown;
}

function source(slapd: Slapd, { url, user = {}, ...more }: Wish): Source {
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
  const [parsed] = sourcesSchema.parse([settings]);
  if (parsed === undefined) throw new Error("no source");
  return sourceOf(parsed);
}

const kindOf = async (answer: Promise<SourceAnswer>): Promise<string> =>
  answer.then(
    ({ kind }) => kind,
    (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : "?"),
  );

requirement("an LDAP source", missingSlapd, () => {
  let slapd: Slapd;
  beforeAll(async () => {
    slapd = await startSlapd({ entries });
  });
  afterAll(() => slapd[Symbol.asyncDispose]());

  describe.each(["ldapsUrl", "ldapUrl"] as const)("over %s", (url) => {
    const open = (): Source => source(slapd, { url: slapd[url] });

    test("tells the right password from all others", async () => {
      const corp = open();
      expect(await corp.authenticate("ann", right)).toMatchObject({
        kind: "identity",
        identity: { name: "ann", displayName: "ann", email: "ann@example.org" },
      });
      expect(await kindOf(corp.authenticate("ann", `${right} `))).toBe("wrong");
      expect(await kindOf(corp.authenticate("nobody", right))).toBe("unknown");
      expect(await kindOf(corp.authenticate("ann", undefined))).toBe("unknown");
    });

    test("lets nobody in with an empty password", async () => {
      expect(await kindOf(open().authenticate("ann", ""))).toBe("wrong");
    });
  });
});
