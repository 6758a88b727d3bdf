import { z } from "zod";
import { issuerUrl } from "./issuer-schema.ts";
import { sourceName } from "./source-name.ts";

const text = (most: number) => z.string().min(1).max(most);
const claim = text(255);
const group = text(1024);
const scopeToken = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, "must be one scope, without spaces");

const oidcGroups = z.strictObject({
  /** In which a provider says who is in which groups: a list, or one of them. */
  claim: claim.default("groups"),
  /** Globs: of all others, nothing is known here. */
  filter: z.array(group).min(1).max(64).optional(),
  /** Who is in none of these does not sign in. */
  required: z.array(group).min(1).max(64).optional(),
  /** Whose people administer the instance, and whose may read all of it. */
  adminGroup: group.optional(),
  auditorGroup: group.optional(),
});

export const oidcSource = z
  .strictObject({
    /** Accounts are linked by it: under another name it is another source. */
    name: sourceName,
    kind: z.literal("oidc"),
    /** The accounts of a source that is not enabled cannot be used. */
    enabled: z.boolean().default(true),
    /** What people are told it is. */
    label: text(64).optional(),
    issuer: issuerUrl,
    clientId: text(255),
    clientSecret: text(1024).meta({ writeOnly: true }).optional(),
    clientSecretFile: text(4096).optional(),
    scopes: z
      .array(scopeToken)
      .max(32)
      .default(["openid", "profile", "email"])
      .refine((scopes) => scopes.includes("openid"), "must have openid among them"),
    nameClaim: claim.default("preferred_username"),
    displayNameClaim: claim.default("name"),
    emailClaim: claim.default("email"),
    /** That its tokens may be for beside clientId. */
    audiences: z.array(text(255)).max(16).default([]),
    /** That its tokens may have been asked for by (azp), beside clientId. */
    authorizedParties: z.array(text(255)).max(16).default([]),
    caFile: text(4096).optional(),
    /** Hosts and networks of its endpoints that are not on the internet; the issuer's own host is one of them. */
    hosts: z.array(text(255)).max(16).default([]),
    /** How old its word on somebody may be before they may only read. */
    staleSeconds: z.number().int().min(600).max(2_592_000).default(2_592_000),
    /** Whether whoever signs in for the first time gets an account. */
    onboard: z.boolean().default(true),
    /** Whether whoever signs out here is sent there to sign out too. */
    signOut: z.boolean().default(false),
    /** What teams may be made of. */
    groups: oidcGroups.optional(),
  })
  .superRefine(({ clientSecret, clientSecretFile }, context) => {
    if (clientSecret === undefined || clientSecretFile === undefined) return;
    const message = "is given beside clientSecret: one of them has to go";
    context.addIssue({ code: "custom", path: ["clientSecretFile"], message });
  });

export type OidcSettings = z.infer<typeof oidcSource>;
