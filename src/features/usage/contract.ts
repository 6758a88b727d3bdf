import { z } from "zod";
import { contract } from "../../access/api/contract.ts";
import { pageOf, pageQuery, word } from "../../access/api/parameters.ts";

/** What one account, robot or everyone who has not signed in has moved in one repository on one day. */
export const usage = z.object({
  day: z.string().describe("in UTC"),
  kind: z.string().describe("account, robot or anonymous"),
  account: z.string().describe("its name then"),
  accountId: z.string().optional(),
  token: z.string().optional().describe("the id of the personal token or robot secret that was shown"),
  repository: z.string(),
  pulls: z.int().describe("manifests that were sent, without indexes"),
  pulledBytes: z.int().describe("of manifests and blobs"),
  pushes: z.int().describe("manifests that came"),
  pushedBytes: z.int().describe("of manifests and blobs"),
});

const day = () => z.iso.date();

const filter = {
  since: day().optional().describe("the first day"),
  until: day().optional().describe("the day behind the last one"),
  account: word(255).optional().describe("the name of an account or robot, or anonymous"),
  token: word(128).optional().describe("the id of a personal token or robot secret"),
  repository: word(255).optional(),
};

const about = {
  method: "GET",
  group: "usage",
  need: { verb: "read", subject: "log", on: "instance" },
} as const;

export const listUsage = contract({
  ...about,
  id: "listUsage",
  path: "/usage",
  summary: "List who has moved how much in which repository, by day",
  query: z.strictObject({ ...pageQuery, ...filter }),
  output: pageOf(usage),
});

export const exportUsage = contract({
  ...about,
  id: "exportUsage",
  path: "/usage.csv",
  summary: "The same, all of it, as a table for spreadsheets (RFC 4180)",
  query: z.strictObject(filter),
  streams: "text/csv",
});
