import { z } from "zod";
import { contract } from "../api/contract.ts";
import { time } from "../api/parameters.ts";

const group = "signing in";

export const signIn = contract({
  id: "signIn",
  method: "POST",
  path: "/session",
  group,
  summary: "Sign in: the answer sets a cookie, which counts from this server's own pages",
  need: "nothing",
  body: z.strictObject({
    name: z.string().max(256),
    password: z.string().max(4096).meta({ format: "password" }),
    code: z
      .string()
      .max(64)
      .optional()
      .describe("a one-time code or a recovery code, of an account that has a second factor"),
  }),
  output: z.object({
    name: z.string(),
    expiresAt: time().describe("when it ends, whatever is done with it"),
    idleSeconds: z.int().describe("how long it lives without a request of its account"),
  }),
});

export const signOut = contract({
  id: "signOut",
  method: "DELETE",
  path: "/session",
  group,
  summary: "End the session of the cookie",
  need: "nothing",
});
