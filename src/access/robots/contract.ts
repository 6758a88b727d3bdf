import { z } from "zod";
import { contract } from "../api/contract.ts";
import { end, line, pageOf, pageQuery, time, word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";

const group = "tokens and robots";
const description = line(200);
const params = z.strictObject({ robot: word(255).describe("as it signs in") });

const robot = z.object({
  id: z.string().describe("never given out twice, unlike the name"),
  name: z.string().describe("as it signs in"),
  description,
  disabled: z.boolean(),
  createdAt: time(),
  expiresAt: time().optional(),
});

export const listRobots = contract({
  id: "listRobots",
  method: "GET",
  path: "/robots",
  group,
  summary: "List robots, by name: all of them, or those of an organization",
  need: "sign-in",
  query: z.strictObject({ ...pageQuery, organization: word(255).optional() }),
  output: pageOf(robot),
});

export const createRobot = contract({
  id: "createRobot",
  method: "POST",
  path: "/robots",
  group,
  summary: "Make a robot, which has no right and no secret yet",
  need: "sign-in",
  body: z.strictObject({
    name: word(64),
    organization: word(255).optional().describe("whose it is; the whole registry's where it is not said"),
    description: description.optional(),
    until: end().optional(),
  }),
  output: robot,
  creates: "/robots/{name}",
});

export const showRobot = contract({
  id: "showRobot",
  method: "GET",
  path: "/robots/{robot}",
  group,
  summary: "Show a robot",
  need: "sign-in",
  params,
  output: robot,
});

export const changeRobot = contract({
  id: "changeRobot",
  method: "PATCH",
  path: "/robots/{robot}",
  group,
  summary: "Change a robot; to disable it ends what was issued for it with the next request",
  need: "sign-in",
  params,
  body: z.strictObject({
    description: description.optional(),
    disabled: z.boolean().optional(),
    until: end().nullable().optional().describe("null takes the end away"),
  }),
  output: robot,
});

export const deleteRobot = contract({
  id: "deleteRobot",
  method: "DELETE",
  path: "/robots/{robot}",
  group,
  summary: "Delete a robot with its secrets and grants",
  need: "sign-in",
  params,
  output: removal,
  destroys: true,
});
