import { z } from "zod";
import { type AccountName, parseAccountName } from "../account-name.ts";
import { contract } from "../api/contract.ts";
import { flag, line, pageOf, pageQuery, time, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";
import { weaknessOf } from "../password-rules.ts";

const group = "accounts";
const onInstance = { subject: "account", on: "instance" } as const;

const displayName = line(100).describe("as people read it; empty where there is none");
const email = z
  .email()
  .max(254)
  .refine((text) => text.isWellFormed());

const password = z
  .string()
  .superRefine((text, context) => {
    const weakness = weaknessOf(text);
    if (weakness !== undefined) context.addIssue(weakness);
  })
  .meta({ format: "password", minLength: 8, maxLength: 1024 });

/** In upper case or lower: it is the same account. */
const accountName = z.string().transform((text, context): AccountName => {
  const name = parseAccountName(text);
  if (name !== undefined) return name;
  context.addIssue("must be 1 to 64 of a-z, 0-9 and . _ @ + -, with a letter or digit at both ends");
  return z.NEVER;
});

export const account = z.object({
  id: z.string().describe("never given out twice, unlike the name"),
  name: z.string(),
  displayName,
  email: z.string().optional(),
  disabled: z.boolean(),
  suspended: z.boolean().describe("whether no source of identity knows it any more, which it needs"),
  secondFactor: z.boolean().describe("whether signing in takes a one-time code beside the password"),
  hasPassword: z.boolean().describe("whether its password is the database's; else a source of identity knows it"),
  createdAt: time(),
  passwordChangedAt: time(),
  revision: z.int(),
});

const params = z.strictObject({ account: accountName });

export const listAccounts = contract({
  id: "listAccounts",
  method: "GET",
  path: "/accounts",
  group,
  summary: "List accounts, by name",
  need: { verb: "read", ...onInstance },
  query: z.strictObject({
    ...pageQuery,
    prefix: word(64).optional().describe("how their names begin"),
    disabled: flag().optional(),
  }),
  output: pageOf(account),
});

export const createAccount = contract({
  id: "createAccount",
  method: "POST",
  path: "/accounts",
  group,
  summary: "Make an account",
  need: { verb: "create", ...onInstance },
  body: z.strictObject({ name: accountName, password, displayName: displayName.optional(), email: email.optional() }),
  output: account,
  creates: "/accounts/{name}",
  versioned: true,
});

export const showAccount = contract({
  id: "showAccount",
  method: "GET",
  path: "/accounts/{account}",
  group,
  summary: "Show an account",
  need: { verb: "read", ...onInstance },
  params,
  output: account,
  versioned: true,
});

export const changeAccount = contract({
  id: "changeAccount",
  method: "PATCH",
  path: "/accounts/{account}",
  group,
  summary: "Change an account; to disable it ends its tokens and sessions with their next request",
  need: { verb: "update", ...onInstance },
  params,
  body: z.strictObject({
    displayName: displayName.optional(),
    email: email.nullable().optional().describe("null takes it away"),
    disabled: z.boolean().optional(),
  }),
  output: account,
  versioned: true,
});

export const setPassword = contract({
  id: "setPassword",
  method: "PUT",
  path: "/accounts/{account}/password",
  group,
  summary: "Give an account another password, which ends its sessions; its personal tokens stay",
  need: { verb: "update", ...onInstance },
  params,
  body: z.strictObject({
    password,
    takeOver: z
      .boolean()
      .optional()
      .describe("also of an account whose password a source of identity knows, in place of that"),
  }),
});

export const deleteAccount = contract({
  id: "deleteAccount",
  method: "DELETE",
  path: "/accounts/{account}",
  group,
  summary: "Delete an account with its tokens and sessions",
  need: { verb: "delete", ...onInstance },
  params,
  output: removal,
  destroys: true,
});

/** Who is signed in. */
const self = z.object({
  ...account.shape,
  administrator: z.boolean(),
});

export const showSelf = contract({
  id: "showSelf",
  method: "GET",
  path: "/me",
  group: "signing in",
  summary: "Show the account that asks",
  need: "sign-in",
  output: self,
});

export const changeOwnPassword = contract({
  id: "changeOwnPassword",
  method: "PUT",
  path: "/me/password",
  group: "signing in",
  summary: "Change the own password, which ends all sessions, this one too",
  need: "person",
  body: z.strictObject({ current: z.string().meta({ format: "password" }), password }),
});
