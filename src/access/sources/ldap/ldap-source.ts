import { randomUUID } from "node:crypto";
import type { LdapSettings } from "../../../platform/config/sources-schema.ts";
import { DirectoryError } from "../../../platform/net/directory/directory-error.ts";
import type { DirectorySession } from "../../../platform/net/directory/directory-session.ts";
import { takeTurns } from "../../../platform/turns/take-turns.ts";
import { canonicalName } from "../../account-name.ts";
import { type Identity, type PasswordSource, SourceUnavailable } from "../source.ts";
import { canonicalDn } from "./canonical-dn.ts";
import { findPerson, findSubjects, withGroups } from "./find-people.ts";
import { bindToLook, directoryOpener } from "./open-directory.ts";
import { tryDirectory } from "./try-directory.ts";

/** Connections to one directory. Who waits for longer than its answers take is better told so. */
const turns = { concurrent: 32, waiting: 256 };
const longestNameBytes = 256;

/**
 * LDAP or Active Directory. Each sign-in has a connection of its own: encrypted, bound as the one who looks people up,
 * then as who signs in, then closed.
 */
export function ldapSource(settings: LdapSettings): PasswordSource {
  const open = directoryOpener(settings);
  const inTurn = takeTurns(turns, "too many sign-ins at once");
  const converse = <T>(work: (session: DirectorySession) => Promise<T>): Promise<T> =>
    inTurn(async () => {
      try {
        const session = await open();
        try {
          await bindToLook(session, settings);
          return await work(session);
        } finally {
          session.close();
        }
      } catch (error) {
        if (error instanceof DirectoryError) throw new SourceUnavailable(`${error.step}: ${error.message}`);
        throw error;
      }
    });

  return {
    kind: "password",
    name: settings.name,
    onboards: settings.onboard,
    rememberMs: settings.cacheSeconds * 1000,
    staleMs: settings.staleSeconds * 1000,
    groupName: canonicalDn,
    authenticate: (name, password) =>
      converse(async (session) => {
        const found =
          Buffer.byteLength(name) > longestNameBytes ? undefined : await findPerson(session, settings, name);
        const person = found?.kind === "one" ? found.person : undefined;
        if (person === undefined || password === undefined) {
          await bindAsNobody(session, settings);
          return found?.kind === "unclear" ? found : { kind: "unknown" };
        }
        if (!(await session.bind(person.member.dn, password))) return wrong;
        await bindToLook(session, settings);
        return { kind: "identity", identity: await withGroups(session, settings, person) };
      }),
    confirm: (subjects) =>
      converse(async (session) => {
        const identities = new Map<string, Identity>();
        for (const [subject, person] of await findSubjects(session, settings, subjects))
          identities.set(subject, await withGroups(session, settings, person));
        return identities;
      }),
    test: (name) => tryDirectory(settings, open, name === undefined ? undefined : canonicalName(name)),
  };
}

const wrong = { kind: "wrong" } as const;

/** Takes as long as a wrong password does. */
async function bindAsNobody(session: DirectorySession, { user }: LdapSettings): Promise<void> {
  const isIn = await session.bind(`cn=${randomUUID()},${user.baseDn}`, randomUUID());
  if (isIn) throw new DirectoryError("bind", "it lets in whoever says anything");
}
