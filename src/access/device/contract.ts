import { z } from "zod";
import { contract } from "../api/contract.ts";
import { time, word } from "../api/parameters.ts";
import { deviceScopes } from "./device-scope.ts";

const group = "signing in";
const params = z.strictObject({ code: word(64) });

export const showDevice = contract({
  id: "showDevice",
  method: "GET",
  path: "/device-sign-ins/{code}",
  group,
  summary: "Show the device that waits to be let in under a code (RFC 8628)",
  need: "person",
  params,
  output: z.object({
    device: z.string().describe("what it calls itself"),
    scope: z.enum(deviceScopes).describe("`images`: to pull, push and delete alone"),
    address: z.string().describe("from where it has asked"),
    askedAt: time(),
  }),
});

export const decideDevice = contract({
  id: "decideDevice",
  method: "POST",
  path: "/device-sign-ins/{code}",
  group,
  summary: "Let the device in, with a personal token of one's own that is named after it, or send it away",
  need: "person",
  params,
  body: z.strictObject({ decision: z.enum(["approve", "deny"]) }),
});
