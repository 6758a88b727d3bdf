import { z } from "zod";
import { parseAccountName } from "../account-name.ts";
import { contract } from "../api/contract.ts";
import { removal } from "../api/removal.ts";

const group = "signing in";
const password = z.string().max(4096).meta({ format: "password" });

export const enrolSecondFactor = contract({
  id: "enrolSecondFactor",
  method: "POST",
  path: "/me/second-factor",
  group,
  summary: "Make the secret of one-time codes (RFC 6238); it counts once a code of it has confirmed it",
  need: "person",
  body: z.strictObject({ password }),
  output: z.object({
    secret: z.string().describe("in base32, shown this once"),
    uri: z.string().describe("the same for an app to read"),
  }),
});

export const confirmSecondFactor = contract({
  id: "confirmSecondFactor",
  method: "POST",
  path: "/me/second-factor/confirmation",
  group,
  summary: "Have sign-ins ask for a code from now on, which ends all sessions, this one too; personal tokens stay",
  need: "person",
  body: z.strictObject({ code: z.string().max(64) }),
  output: z.object({
    recoveryCodes: z.array(z.string()).describe("each good once in place of a code; shown this once"),
  }),
});

export const removeSecondFactor = contract({
  id: "removeSecondFactor",
  method: "POST",
  path: "/me/second-factor/removal",
  group,
  summary: "Have sign-ins ask for the password alone again",
  need: "person",
  body: z.strictObject({ password }),
});

export const resetSecondFactor = contract({
  id: "resetSecondFactor",
  method: "DELETE",
  path: "/accounts/{account}/second-factor",
  group: "accounts",
  summary: "Take the second factor from an account whose owner has lost it",
  need: { verb: "update", subject: "account", on: "instance" },
  params: z.strictObject({
    account: z.string().transform((text, context) => {
      const name = parseAccountName(text);
      if (name !== undefined) return name;
      context.addIssue("must be the name of an account");
      return z.NEVER;
    }),
  }),
  output: removal,
  destroys: true,
});
