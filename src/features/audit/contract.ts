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

const group = "audit";
const need = { verb: "read", subject: "log", on: "instance" } as const;

export const listAudit = contract({
  id: "listAudit",
  method: "GET",
  path: "/audit",
  group,
  summary: "Search what was done and what was refused, the newest first",
  need,
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

const entryId = z
  .string()
  .regex(/^\d{1,15}$/, "must be the id of an entry")
  .transform(Number)
  .meta({ type: "integer" });

export const exportAudit = contract({
  id: "exportAudit",
  method: "GET",
  path: "/audit/export",
  group,
  summary: "Every entry, the oldest first, one JSON object a line; whoever goes on behind the last id has each once",
  need,
  query: z.strictObject({
    after: entryId.optional().describe("those behind this id"),
    most: entryId.optional().describe("how many; all of them, where it is not said"),
  }),
  streams: "application/jsonl",
});

/** A hundred of them. */
const mostHeadCharacters = 9000;
const head = z.object({ number: z.int(), digest: z.string() });

const auditFault = z.object({
  kind: z.enum(["missing-entry", "altered-entries", "broken-chain", "missing-tail", "unknown-head"]),
  text: z.string(),
  seal: z.int().optional(),
  id: z.int().optional(),
  from: z.int().optional(),
  to: z.int().optional(),
  after: z.int().optional(),
  lastId: z.int().optional(),
});

export const mostFaultsTold = 1000;

export const verifyAudit = contract({
  id: "verifyAudit",
  method: "GET",
  path: "/audit/verification",
  group,
  summary: "Compare every entry with its seal, and tell where the chain breaks; one at a time",
  need,
  query: z.strictObject({
    heads: z
      .string()
      .max(mostHeadCharacters)
      .regex(/^\d{1,15}:sha256:[0-9a-f]{64}(?:,\d{1,15}:sha256:[0-9a-f]{64})*$/, "must be heads that were told before")
      .optional()
      .describe("that were told before, with commas between: those seals have to be there, and the same"),
  }),
  output: z.object({
    entries: z.int(),
    unsealed: z.int(),
    faults: z.array(auditFault).describe(`${mostFaultsTold} at most`),
    faultCount: z.int(),
    head: head.describe("the newest seal, to be written down where nobody reaches who can write to the database"),
  }),
});
