import { z } from "zod";
import { contract } from "../../access/api/contract.ts";
import { labels, shownLabels } from "../../access/api/labels.ts";
import { markdown, time } from "../../access/api/parameters.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";

const mostCharacters = 65_536;

const params = z.strictObject({
  repository: z.string().transform((text, context): RepositoryName => {
    const name = parseRepositoryName(text);
    if (name !== undefined) return name;
    context.addIssue("must be the name of a repository");
    return z.NEVER;
  }),
});

const text = markdown(mostCharacters).describe("Markdown; empty where there is none");

const description = z.object({
  text,
  labels: shownLabels(),
  revision: z.int().describe("of text and labels"),
  updatedAt: time().optional(),
});

const common = { path: "/repositories/{repository}/description", group: "repositories", versioned: true } as const;

export const showDescription = contract({
  id: "showDescription",
  method: "GET",
  ...common,
  summary: "Show what people read of a repository, and its labels",
  need: { verb: "read", subject: "repository", on: "repository" },
  params,
  output: description,
});

export const setDescription = contract({
  id: "setDescription",
  method: "PUT",
  ...common,
  summary: "Write what people read of a repository, or have it other labels; what is not given stays",
  need: { verb: "update", subject: "description", on: "repository" },
  params,
  body: z.strictObject({
    text: text.optional(),
    labels: labels().optional(),
  }),
  mostBodyBytes: 512 * 1024,
  output: description,
});
