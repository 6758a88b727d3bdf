import { z } from "zod";
import { contract } from "../../../access/api/contract.ts";
import { labelFilter, shownLabels } from "../../../access/api/labels.ts";
import { pageOf, pageQuery, time, word } from "../../../access/api/parameters.ts";
import { removal } from "../../../access/api/removal.ts";
import { parseDigest } from "../../../oci/digest.ts";
import { parseRepositoryName, parseTag } from "../../../oci/names.ts";
import { visibilities } from "../../../oci/visibility.ts";

const group = "repositories";
const content = { subject: "repository", on: "repository" } as const;

const parsed = <T>(parse: (text: string) => T | undefined, what: string) =>
  z.string().transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue(`must be ${what}`);
    return z.NEVER;
  });

const repositoryName = parsed(parseRepositoryName, "the name of a repository");
const tag = parsed(parseTag, "a tag");
const digest = parsed(parseDigest, "a sha256 or sha512 digest in lower case");

const inRepository = { repository: repositoryName };

const repository = z.object({
  name: z.string(),
  visibility: z.enum(visibilities),
  createdAt: time(),
  labels: shownLabels(),
});

const tagged = z.object({
  name: z.string(),
  digest: z.string(),
  mediaType: z.string(),
  sizeBytes: z.int().describe("of the manifest alone"),
  createdAt: time(),
  updatedAt: time(),
});

export const listRepositories = contract({
  id: "listRepositories",
  method: "GET",
  path: "/repositories",
  group,
  summary: "List the repositories that the caller may pull from, by name",
  need: "anyone",
  query: z.strictObject({
    ...pageQuery,
    prefix: word(255).optional().describe("how their names begin"),
    label: labelFilter().optional().describe("those with a label of this key, or, as key=value, with this value of it"),
  }),
  output: pageOf(repository),
});

export const showRepository = contract({
  id: "showRepository",
  method: "GET",
  path: "/repositories/{repository}",
  group,
  summary: "Show a repository",
  need: { verb: "read", ...content },
  params: z.strictObject(inRepository),
  output: repository,
});

export const deleteRepository = contract({
  id: "deleteRepository",
  method: "DELETE",
  path: "/repositories/{repository}",
  group,
  summary:
    "Delete a repository with all that is in it and what was granted on it; another of its name has nothing of it",
  need: { verb: "admin", ...content },
  params: z.strictObject(inRepository),
  output: removal,
  destroys: true,
});

export const listTags = contract({
  id: "listTags",
  method: "GET",
  path: "/repositories/{repository}/tags",
  group,
  summary: "List tags, by name",
  need: { verb: "read", ...content },
  params: z.strictObject(inRepository),
  query: z.strictObject({ ...pageQuery, digest: digest.optional().describe("those that name this manifest") }),
  output: pageOf(tagged),
});

export const showTag = contract({
  id: "showTag",
  method: "GET",
  path: "/repositories/{repository}/tags/{tag}",
  group,
  summary: "Show a tag",
  need: { verb: "read", ...content },
  params: z.strictObject({ ...inRepository, tag }),
  output: tagged,
});

export const setTag = contract({
  id: "setTag",
  method: "PUT",
  path: "/repositories/{repository}/tags/{tag}",
  group,
  summary:
    "Have a tag name a manifest, of this repository or of another: it is copied with all that it names, and no byte is",
  need: { verb: "create", ...content },
  params: z.strictObject({ ...inRepository, tag }),
  body: z.strictObject({
    from: repositoryName.optional().describe("the repository that has it; this one where it is not said"),
    reference: z.string().max(255).describe("a tag or a digest"),
    expected: digest.nullable().optional().describe("what the tag has to name before; null: it must not be there"),
  }),
  output: tagged.extend({
    previous: z.string().optional().describe("the digest that the tag named before"),
    copied: z
      .object({ manifests: z.int(), blobs: z.int() })
      .describe("how much of it the repository did not have; memberships, no bytes"),
  }),
  destroys: true,
});

export const deleteTag = contract({
  id: "deleteTag",
  method: "DELETE",
  path: "/repositories/{repository}/tags/{tag}",
  group,
  summary: "Delete a tag; the manifest stays",
  need: { verb: "delete", ...content },
  params: z.strictObject({ ...inRepository, tag }),
  output: removal,
  destroys: true,
});

const descriptor = z.object({
  digest: z.string(),
  mediaType: z.string(),
  sizeBytes: z.number(),
  annotations: z.record(z.string(), z.string()).optional(),
});

const platform = z.object({
  os: z.string().optional(),
  architecture: z.string().optional(),
  variant: z.string().optional(),
});

export const listManifests = contract({
  id: "listManifests",
  method: "GET",
  path: "/repositories/{repository}/manifests",
  group,
  summary: "List manifests by digest, those without a tag too",
  need: { verb: "read", ...content },
  params: z.strictObject(inRepository),
  query: z.strictObject(pageQuery),
  output: pageOf(
    z.object({
      digest: z.string(),
      mediaType: z.string(),
      sizeBytes: z.int(),
      artifactType: z.string().optional(),
      subject: z.string().optional(),
      pushedAt: time(),
    }),
  ),
});

export const inspected = z.object({
  digest: z.string(),
  mediaType: z.string(),
  sizeBytes: z.int().describe("of the manifest alone"),
  artifactType: z.string().optional(),
  subject: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  tags: z.array(z.string()).describe("that name it; 100 at most"),
  image: z
    .object({
      config: descriptor,
      layers: z.array(descriptor),
      totalBytes: z.number().describe("of config and layers"),
      platform: platform.optional(),
      createdAt: z.string().optional(),
      labels: z.record(z.string(), z.string()).optional(),
      entrypoint: z.array(z.string()).optional(),
      command: z.array(z.string()).optional(),
      environment: z.array(z.string()).optional(),
      user: z.string().optional(),
      workingFolder: z.string().optional(),
    })
    .optional(),
  manifests: z
    .array(descriptor.extend({ platform: platform.optional(), isPresent: z.boolean() }))
    .optional()
    .describe("what an index names"),
});

export const showManifest = contract({
  id: "showManifest",
  method: "GET",
  path: "/repositories/{repository}/manifests/{reference}",
  group,
  summary: "Look into a manifest, by tag or digest: its config, layers, labels, or what an index names",
  need: { verb: "read", ...content },
  params: z.strictObject({ ...inRepository, reference: z.string().max(255) }),
  output: inspected,
});

export const deleteManifest = contract({
  id: "deleteManifest",
  method: "DELETE",
  path: "/repositories/{repository}/manifests/{reference}",
  group,
  summary: "Delete a manifest, by its digest, with the tags that name it",
  need: { verb: "delete", ...content },
  params: z.strictObject({ ...inRepository, reference: digest }),
  output: removal,
  destroys: true,
});

const mostAtOnce = 500;

export const deleteMany = contract({
  id: "deleteMany",
  method: "POST",
  path: "/repositories/{repository}/deletions",
  group,
  summary: "Delete tags and manifests, all of them or, where one cannot be, none",
  need: { verb: "delete", ...content },
  params: z.strictObject(inRepository),
  body: z.strictObject({
    tags: z.array(tag).max(mostAtOnce).optional(),
    manifests: z.array(digest).max(mostAtOnce).optional(),
  }),
  output: removal,
  destroys: true,
});

const upload = z.object({
  id: z.string(),
  repository: z.string(),
  principal: z.string(),
  sizeBytes: z.int(),
  startedAt: time(),
  activeAt: time(),
});

export const listUploads = contract({
  id: "listUploads",
  method: "GET",
  path: "/uploads",
  group: "uploads",
  summary: "List pushes that have begun and not ended, by id",
  need: { verb: "read", subject: "upload", on: "instance" },
  query: z.strictObject(pageQuery),
  output: pageOf(upload),
});

export const cancelUpload = contract({
  id: "cancelUpload",
  method: "DELETE",
  path: "/uploads/{upload}",
  group: "uploads",
  summary: "End a push and free its bytes",
  need: { verb: "delete", subject: "upload", on: "instance" },
  params: z.strictObject({ upload: word(64) }),
  output: removal,
  destroys: true,
});
