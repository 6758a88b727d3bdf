import { z } from "zod";
import { oidcSource } from "./oidc-source-schema.ts";
import { sourceName } from "./source-name.ts";

const text = (most: number) => z.string().min(1).max(most);
const dn = text(1024);
const attribute = z.string().regex(/^[a-zA-Z][a-zA-Z0-9-]{0,63}$/, "must be the name of an attribute");
const scope = z.enum(["sub", "one", "base"]).default("sub");
const seconds = (preset: number, most: number) => z.number().int().min(1).max(most).default(preset);

/** RFC 4515 escapes parentheses that mean none, so those that are there have to match. */
const filter = text(4096).refine(isBalanced, "must be one filter in parentheses, such as (objectClass=person)");

function isBalanced(filterText: string): boolean {
  let depth = 0;
  for (let at = 0; at < filterText.length; at++) {
    if (filterText[at] === "(") depth++;
    if (filterText[at] === ")") depth--;
    if (depth < 1 && at < filterText.length - 1) return false;
  }
  return depth === 0 && filterText.endsWith(")");
}

/** ldaps: is TLS from the first byte; ldap: is StartTLS before anything is said. There is no third way. */
const url = z
  .string()
  .max(300)
  .refine((given) => {
    const parsed = URL.parse(given);
    const isPlain = parsed?.pathname === "" || parsed?.pathname === "/";
    return isPlain && /^ldaps?:$/.test(parsed.protocol) && /^[^/?#@\s]+$/.test(given.replace(/^ldaps?:\/\/|\/$/g, ""));
  }, "must be ldaps://<host> or ldap://<host>, with a port or without, and nothing else");

const ldapUser = z.strictObject({
  baseDn: dn,
  scope,
  /** Who is none of these does not sign in. */
  filter: filter.default("(objectClass=person)"),
  /** Whose account is made without a namespace of its own. */
  restrictedFilter: filter.optional(),
  /** What people type as their name. */
  nameAttribute: attribute.default("uid"),
  /** What stays when everything else of an entry changes: entryUUID, or objectGUID in Active Directory. */
  idAttribute: attribute.default("entryUUID"),
  displayNameAttribute: attribute.default("cn"),
  emailAttribute: attribute.default("mail"),
});

const groupDn = dn.regex(
  /^[^=,]+=[^=]+,.*=/,
  "must be the DN of a group, such as cn=registry,ou=groups,dc=example,dc=org",
);

const ldapGroups = z.strictObject({
  baseDn: dn,
  scope,
  filter: filter.default("(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))"),
  /** In which a group has its members: their DNs, or their names where it is memberUid. */
  memberAttribute: attribute.default("member"),
  /** In which people and groups have the groups that they are in, where that is to be believed instead. */
  membershipAttribute: attribute.optional(),
  /** Groups in groups: asked for level by level, all at once by Active Directory's own rule, or not at all. */
  nested: z.enum(["walk", "chain", "none"]).default("walk"),
  /** Whose members administer the instance, and whose may read all of it. */
  adminGroup: groupDn.optional(),
  auditorGroup: groupDn.optional(),
});

const ldapSource = z
  .strictObject({
    /** Accounts are linked by it: under another name it is another source. */
    name: sourceName,
    kind: z.literal("ldap"),
    /** The accounts of a source that is not enabled cannot be used. */
    enabled: z.boolean().default(true),
    /** Asked in this order, from the one on that answered last. */
    urls: z.array(url).min(1).max(8),
    /** Who looks people up; without it, nobody in particular. */
    bindDn: dn.optional(),
    bindPassword: text(1024).meta({ writeOnly: true }).optional(),
    bindPasswordFile: text(4096).optional(),
    caFile: text(4096).optional(),
    verifyCertificate: z.boolean().default(true),
    connectTimeoutSeconds: seconds(10, 60),
    operationTimeoutSeconds: seconds(10, 60),
    /** How long a right password is good without asking again. */
    cacheSeconds: z.number().int().min(0).max(300).default(60),
    /** How old the directory's word on somebody may be before they may only read. */
    staleSeconds: z.number().int().min(600).max(2_592_000).default(86_400),
    /** Whether whoever signs in for the first time gets an account. */
    onboard: z.boolean().default(true),
    user: ldapUser,
    /** What teams may be made of. */
    groups: ldapGroups.optional(),
  })
  .superRefine(({ bindDn, bindPassword, bindPasswordFile }, context) => {
    const needs = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    const passwords = [bindPassword, bindPasswordFile].filter((given) => given !== undefined).length;
    if (passwords > 1) needs("bindPasswordFile", "is given beside bindPassword: one of them has to go");
    if (bindDn !== undefined && passwords === 0) needs("bindDn", "needs bindPassword or bindPasswordFile too");
    if (bindDn === undefined && passwords > 0) needs("bindPassword", "needs bindDn too");
  });

const sourceSchema = z.discriminatedUnion("kind", [ldapSource, oidcSource]);

const mostSources = 16;

/** Where people are known beside the accounts of the database, in the order in which they are asked. */
export const sourcesSchema = z
  .array(sourceSchema)
  .max(mostSources)
  .superRefine((sources, context) => {
    const names = sources.map(({ name }) => name);
    const twice = names.find((name, at) => names.indexOf(name) < at);
    if (twice !== undefined) context.addIssue({ code: "custom", message: `${twice} is the name of two sources` });
  });

export type SourceSettings = z.infer<typeof sourceSchema>;
export type LdapSettings = z.infer<typeof ldapSource>;
