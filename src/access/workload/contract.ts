import { z } from "zod";
import { contract } from "../api/contract.ts";
import { pageOf, pageQuery, time, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";

const group = "workload identity";
const ofRobot = z.strictObject({ robot: word(255).describe("as it signs in") });
const ofRule = z.strictObject({ rule: word(64) });

const trust = {
  issuer: word(512).describe("letter by letter what tokens have as `iss`"),
  audience: word(512).describe("what has to be in `aud`"),
  conditions: z
    .array(
      z.strictObject({
        claim: word(128).describe("its name, or a JSON Pointer to what is further inside"),
        pattern: word(512).describe("all of what the claim has to be; `*` is any text"),
      }),
    )
    .max(100)
    .describe("all of them have to hold, and there has to be one"),
};

const rule = z.object({ id: z.string(), robot: z.string(), ...trust, createdAt: time() });

export const listWorkloadRules = contract({
  id: "listWorkloadRules",
  method: "GET",
  path: "/robots/{robot}/workload-rules",
  group,
  summary: "List the rules by which tokens of other issuers are a robot's, by id",
  need: "sign-in",
  params: ofRobot,
  query: z.strictObject(pageQuery),
  output: pageOf(rule),
});

export const createWorkloadRule = contract({
  id: "createWorkloadRule",
  method: "POST",
  path: "/robots/{robot}/workload-rules",
  group,
  summary: "Have the tokens of an issuer that are for an audience, and whose claims fit, be a robot's",
  need: "person",
  params: ofRobot,
  body: z.strictObject(trust),
  output: rule,
  creates: "/workload-rules/{id}",
});

export const showWorkloadRule = contract({
  id: "showWorkloadRule",
  method: "GET",
  path: "/workload-rules/{rule}",
  group,
  summary: "Show a rule",
  need: "sign-in",
  params: ofRule,
  output: rule,
});

export const deleteWorkloadRule = contract({
  id: "deleteWorkloadRule",
  method: "DELETE",
  path: "/workload-rules/{rule}",
  group,
  summary: "Take a rule away, with all that was issued by it",
  need: "sign-in",
  params: ofRule,
  output: removal,
  destroys: true,
});

export const tryWorkloadToken = contract({
  id: "tryWorkloadToken",
  method: "POST",
  path: "/robots/{robot}/workload-test",
  group,
  summary: "Tell what each of a robot's rules says to a token, which is not used up by that",
  need: "sign-in",
  params: ofRobot,
  body: z.strictObject({ token: word(16 * 1024) }),
  output: z.object({
    rules: z.array(
      z.object({
        id: z.string(),
        trusted: z.boolean(),
        checks: z.array(z.object({ what: z.string(), ok: z.boolean(), given: z.array(z.string()).optional() })),
      }),
    ),
  }),
});
