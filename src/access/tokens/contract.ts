import { z } from "zod";
import { contract } from "../api/contract.ts";
import { end, line, pageOf, pageQuery, time, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";

const group = "tokens and robots";
const params = z.strictObject({ token: word(64) });

/** Whose: the own ones where nothing is said. */
const whose = {
  account: word(255).optional().describe("of this account"),
  robot: word(255).optional().describe("of this robot, as it signs in"),
};

const token = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(["active", "disabled", "revoked", "expired"]),
  scopes: z.array(z.string()).optional().describe("absent where the owner's rights alone count"),
  networks: z.array(z.string()).optional(),
  createdAt: time(),
  expiresAt: time(),
  lastUsedAt: time().optional(),
  lastUsedAddress: z.string().optional(),
});

const made = z.object({
  id: z.string(),
  token: z.string().describe("the secret, which is shown this once"),
  expiresAt: time(),
});

export const listTokens = contract({
  id: "listTokens",
  method: "GET",
  path: "/tokens",
  group,
  summary: "List the own personal tokens, or those of an account, or the secrets of a robot; those that have ended too",
  need: "sign-in",
  query: z.strictObject({ ...pageQuery, ...whose }),
  output: pageOf(token),
});

export const createToken = contract({
  id: "createToken",
  method: "POST",
  path: "/tokens",
  group,
  summary: "Make a personal token, or a robot's secret; with a token in hand, none that can more",
  need: "sign-in",
  body: z.strictObject({
    ...whose,
    name: line(100),
    scopes: z
      .array(word(2048))
      .min(1)
      .max(32)
      .optional()
      .describe("such as `acme/**:read,create`; a robot's secret needs none"),
    networks: z.array(word(64)).min(1).max(64).optional().describe("from where alone it is good"),
    until: end().optional(),
  }),
  output: made,
});

export const changeToken = contract({
  id: "changeToken",
  method: "PATCH",
  path: "/tokens/{token}",
  group,
  summary: "Disable a token, with all that was issued for it, or enable it again",
  need: "sign-in",
  params,
  body: z.strictObject({ state: z.enum(["active", "disabled"]) }),
});

export const rotateToken = contract({
  id: "rotateToken",
  method: "POST",
  path: "/tokens/{token}/rotation",
  group,
  summary: "Make another token in the place of one, which is good for a while yet; a token may do so with itself",
  need: "sign-in",
  params,
  body: z.strictObject({
    overlapSeconds: z
      .int()
      .min(0)
      .max(90 * 86_400)
      .optional()
      .describe("how long the old one is good yet; a day where it is not said"),
  }),
  output: made.extend({ oldExpiresAt: time() }),
});

export const revokeToken = contract({
  id: "revokeToken",
  method: "DELETE",
  path: "/tokens/{token}",
  group,
  summary: "End a token for good, with all that was issued for it",
  need: "sign-in",
  params,
  output: removal,
  destroys: true,
});
