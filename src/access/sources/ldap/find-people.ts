import type { LdapSettings } from "../../../platform/config/sources-schema.ts";
import type { DirectoryFilter } from "../../../platform/net/directory/directory-filter.ts";
import type { DirectoryEntry, DirectorySession } from "../../../platform/net/directory/directory-session.ts";
import { canonicalName } from "../../account-name.ts";
import type { Identity } from "../source.ts";
import { canonicalDn } from "./canonical-dn.ts";
import { findGroups, type GroupMember } from "./find-groups.ts";
import { isBinaryId, subjectOf, valueOfSubject } from "./subject.ts";

export interface Person {
  readonly member: GroupMember;
  readonly identity: Identity;
}

export type Found =
  | { readonly kind: "one"; readonly person: Person }
  | { readonly kind: "none" }
  /** Several entries have the name, or one has no id: nobody can tell who is meant. */
  | { readonly kind: "unclear"; readonly why: string };

/** Who signs in with a name. @throws DirectoryError */
export async function findPerson(session: DirectorySession, settings: LdapSettings, name: string): Promise<Found> {
  const { user } = settings;
  const named = { attribute: user.nameAttribute, equals: name };
  const entries = await session.search({ ...peopleQuery(settings, named), most: 2 });
  // A directory may compare more loosely than names are counted by: one spelling is one name.
  const exact = entries.filter((entry) => namesOf(entry, settings).includes(name));
  const [entry, other] = exact;
  if (entry === undefined) return { kind: "none" };
  if (other !== undefined || entries.length > 1) return { kind: "unclear", why: "more than one entry has the name" };
  const person = personOf(entry, settings, name);
  return person === undefined ? { kind: "unclear", why: `it has no ${user.idAttribute}` } : { kind: "one", person };
}

/** Who they are, with all that depends on the groups that they are in now. @throws DirectoryError */
export async function withGroups(session: DirectorySession, settings: LdapSettings, person: Person): Promise<Identity> {
  const { identity, member } = person;
  const { groups: where, user } = settings;
  const groups = where === undefined ? [] : await findGroups(session, where, member);
  const isIn = (dn: string | undefined): boolean => dn !== undefined && groups.includes(canonicalDn(dn) ?? "");
  const roles = [
    ...(isIn(where?.adminGroup) ? (["administrator"] as const) : []),
    ...(isIn(where?.auditorGroup) ? (["auditor"] as const) : []),
  ];
  const restricted = user.restrictedFilter !== undefined && (await matches(session, member.dn, user.restrictedFilter));
  return { ...identity, groups, roles, restricted };
}

async function matches(session: DirectorySession, base: string, text: string): Promise<boolean> {
  const query = { base, scope: "base", filter: { text }, attributes: ["1.1"], most: 1 } as const;
  return (await session.search(query)).length > 0;
}

const subjectsAtOnce = 50;

/** Those of them who are there and match the filter, by subject. @throws DirectoryError */
export async function findSubjects(
  session: DirectorySession,
  settings: LdapSettings,
  subjects: readonly string[],
): Promise<ReadonlyMap<string, Person>> {
  const found = new Map<string, Person>();
  const { idAttribute } = settings.user;
  for (let start = 0; start < subjects.length; start += subjectsAtOnce) {
    const some = subjects.slice(start, start + subjectsAtOnce);
    const any = some.map((subject) => ({ attribute: idAttribute, equals: valueOfSubject(idAttribute, subject) }));
    const query = { ...peopleQuery(settings, { any }), most: some.length, paged: true };
    for (const entry of await session.search(query)) {
      const [name = ""] = namesOf(entry, settings);
      const person = personOf(entry, settings, name);
      if (person !== undefined) found.set(person.identity.subject, person);
    }
  }
  return found;
}

function peopleQuery({ user, groups }: LdapSettings, who: DirectoryFilter) {
  const { baseDn, scope, filter, nameAttribute, idAttribute, displayNameAttribute, emailAttribute } = user;
  return {
    base: baseDn,
    scope,
    filter: { all: [{ text: filter }, who] },
    attributes: [
      nameAttribute,
      idAttribute,
      displayNameAttribute,
      emailAttribute,
      ...(groups?.membershipAttribute === undefined ? [] : [groups.membershipAttribute]),
    ],
    binary: isBinaryId(idAttribute) ? [idAttribute] : [],
  } as const;
}

const namesOf = (entry: DirectoryEntry, { user }: LdapSettings): readonly string[] =>
  entry.texts(user.nameAttribute).map(canonicalName);

const longestShownCharacters = 256;

function personOf(entry: DirectoryEntry, { user, groups }: LdapSettings, name: string): Person | undefined {
  const subject = subjectOf(user.idAttribute, entry);
  if (subject === undefined) return undefined;
  const shown = (attribute: string): string | undefined =>
    entry.texts(attribute)[0]?.toWellFormed().replaceAll("\0", "").slice(0, longestShownCharacters);
  return {
    member: {
      dn: entry.dn,
      login: entry.texts(user.nameAttribute)[0] ?? "",
      memberOf: groups?.membershipAttribute === undefined ? [] : entry.texts(groups.membershipAttribute),
    },
    identity: {
      subject,
      name,
      displayName: shown(user.displayNameAttribute),
      email: shown(user.emailAttribute),
      groups: [],
      roles: [],
      restricted: false,
    },
  };
}
