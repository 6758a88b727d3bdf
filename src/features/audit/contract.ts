import { z } from "zod";
import { contract } from "../../access/api/contract.ts";
import { pageOf, pageQuery, time, word } from "../../access/api/parameters.ts";

/** An entry as the API shows it. */
export const entry = z.object({
  id: z.int().describe("counts up without a gap"),
  at: time(),
  action: z.string(),
  outcome: z.string().describe("done, or refused"),
  actor: z.object({
    kind: z.string(),
    id: z.string().optional(),
    name: z.string(),
    tokenId: z
      .string()
      .optional()
      .describe(
        "the personal token or robot secret that was shown, or the rule by which another issuer's token was good",
      ),
  }),
  address: z.string().optional(),
  requestId: z.string().optional(),
  repository: z.string().optional(),
  target: z.string().optional().describe("what it was done to: a tag, a digest, a name"),
  times: z.int().describe("how often; repeats from one source are one entry"),
  detail: z.record(z.string(), z.unknown()),
});

export const listAudit = contract({
  id: "listAudit",
  method: "GET",
  path: "/audit",
  group: "audit",
  summary: "Search what was done and what was refused, the newest first",
  need: { verb: "read", subject: "log", on: "instance" },
  query: z.strictObject({
    ...pageQuery,
    since: time().optional(),
    until: time().optional().describe("before it, not at it"),
    actor: word(255).optional().describe("the name of who did it"),
    action: word(64).optional(),
    repository: word(255).optional(),
    requestId: word(128).optional().describe("also of a request that is one of many in an entry"),
    outcome: z.enum(["done", "refused"]).optional(),
  }),
  output: pageOf(entry),
});
