import { z } from "zod";
import { contract } from "../api/contract.ts";
import { word } from "../api/parameters.ts";
import { removal } from "../api/removal.ts";

const group = "organizations";
/** Who says which groups count decides who is in an organization: that is for those who set up sources. */
const ofSources = { subject: "source", on: "instance" } as const;

const name = word(255);
const params = z.strictObject({ organization: name, team: name });
const teamGroup = {
  source: word(32).describe("the name of a source of identity"),
  group: word(1024).describe("a group there; of a directory, its DN"),
};

export const listTeamGroups = contract({
  id: "listTeamGroups",
  method: "GET",
  path: "/organizations/{organization}/teams/{team}/groups",
  group,
  summary: "List the groups of sources of identity whose people are a team's",
  need: { verb: "read", ...ofSources },
  params,
  output: z.object({ items: z.array(z.object({ source: z.string(), group: z.string() })) }),
});

export const addTeamGroup = contract({
  id: "addTeamGroup",
  method: "POST",
  path: "/organizations/{organization}/teams/{team}/groups",
  group,
  summary: "Give a team the people of a group of a source of identity",
  need: { verb: "update", ...ofSources },
  params,
  body: z.strictObject(teamGroup),
  output: z.object({ source: z.string(), group: z.string() }),
});

export const removeTeamGroup = contract({
  id: "removeTeamGroup",
  method: "DELETE",
  path: "/organizations/{organization}/teams/{team}/groups",
  group,
  summary: "Take the people of a group out of a team",
  need: { verb: "update", ...ofSources },
  params,
  query: z.strictObject(teamGroup),
  output: removal,
  destroys: true,
});
