import type { LdapSettings } from "../../../platform/config/sources-schema.ts";
import type { DirectoryFilter } from "../../../platform/net/directory/directory-filter.ts";
import type { DirectoryEntry, DirectorySession } from "../../../platform/net/directory/directory-session.ts";
import { canonicalDn } from "./canonical-dn.ts";

export interface GroupMember {
  readonly dn: string;
  /** As the directory spells it: what groups of POSIX have in place of a DN. */
  readonly login: string;
  /** DNs in `groups.membershipAttribute`. */
  readonly memberOf: readonly string[];
}

type GroupSettings = NonNullable<LdapSettings["groups"]>;

/** Groups in groups that are followed: more levels than anyone has, and an end for those that go in circles. */
const mostLevels = 16;
const mostGroups = 5000;
const namesAtOnce = 50;
/** Active Directory's rule for all groups that somebody is in through others. */
const inChain = "1.2.840.113556.1.4.1941";

/**
 * The groups that somebody is in, by their canonical DN, those of which these are members among them. It asks upwards, from
 * the member: that takes as many questions as there are levels, however large a group is. @throws DirectoryError
 */
export async function findGroups(
  session: DirectorySession,
  settings: GroupSettings,
  member: GroupMember,
): Promise<readonly string[]> {
  const found = new Set<string>();
  const byName = settings.memberAttribute.toLowerCase() === "memberuid";
  let names: readonly string[] = [byName ? member.login : member.dn];
  for (let level = 0; level < mostLevels && names.length > 0; level++) {
    const above =
      settings.membershipAttribute === undefined
        ? await groupsOf(session, settings, names)
        : level === 0
          ? member.memberOf
          : await memberOfOf(session, settings.membershipAttribute, names);
    const added: string[] = [];
    for (const dn of above) {
      const canonical = canonicalDn(dn);
      if (canonical === undefined || found.has(canonical)) continue;
      found.add(canonical);
      added.push(dn);
    }
    if (found.size > mostGroups || settings.nested !== "walk" || byName) break;
    names = added;
  }
  return [...found];
}

/** DNs of groups of which one of these is a member. */
async function groupsOf(
  session: DirectorySession,
  settings: GroupSettings,
  names: readonly string[],
): Promise<readonly string[]> {
  const { memberAttribute: attribute, nested } = settings;
  const groups: string[] = [];
  for (let start = 0; start < names.length; start += namesAtOnce) {
    const any = names
      .slice(start, start + namesAtOnce)
      .map((name): DirectoryFilter =>
        nested === "chain" ? { attribute, rule: inChain, matches: name } : { attribute, equals: name },
      );
    const filter = { all: [{ text: settings.filter }, { any }] };
    const { baseDn: base, scope } = settings;
    const entries = await session.search({ base, scope, filter, attributes: ["1.1"], most: mostGroups, paged: true });
    groups.push(...entries.map(({ dn }) => dn));
  }
  return groups;
}

/** What entries say of the groups that they are in. */
async function memberOfOf(
  session: DirectorySession,
  attribute: string,
  names: readonly string[],
): Promise<readonly string[]> {
  const groups: string[] = [];
  for (const base of names) {
    const query = {
      base,
      scope: "base",
      filter: { text: "(objectClass=*)" },
      attributes: [attribute],
      most: 1,
    } as const;
    const entries: readonly DirectoryEntry[] = await session.search(query);
    groups.push(...entries.flatMap((entry) => entry.texts(attribute)));
  }
  return groups;
}
