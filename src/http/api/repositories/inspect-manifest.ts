import { z } from "zod";
import { parseJsonObject } from "../../../oci/json.ts";
import { parseDigest } from "../../../oci/digest.ts";
import type { RepositoryName } from "../../../oci/names.ts";
import type { Reference } from "../../../oci/reference.ts";
import { chunksOf } from "../../../platform/blobs/blob-body.ts";
import { findBlob } from "../../../registry/blobs.ts";
import { findManifest } from "../../../registry/manifests.ts";
import type { Registry } from "../../../registry/registry.ts";
import { listTagSummaries, presentManifests } from "../../../registry/summaries.ts";
import type { inspected } from "./contract.ts";

type Inspected = z.infer<typeof inspected>;

const text = z.string().optional().catch(undefined);
const texts = z.array(z.string()).optional().catch(undefined);
const map = z.record(z.string(), z.string()).optional().catch(undefined);
const platform = z.object({ os: text, architecture: text, variant: text }).optional().catch(undefined);

/** What is read of a manifest for people: a member that is of another kind than it should be is left out. */
const descriptor = z.object({
  digest: z.string(),
  mediaType: z.string().catch(""),
  size: z.number().catch(0),
  annotations: map,
  platform,
});
const manifestSchema = z.object({
  config: descriptor.optional().catch(undefined),
  layers: z.array(descriptor).optional().catch(undefined),
  manifests: z.array(descriptor).optional().catch(undefined),
  subject: descriptor.optional().catch(undefined),
  artifactType: text,
  annotations: map,
});

/** Of an image's config (image-spec, config.md). */
const configSchema = z.object({
  created: text,
  os: text,
  architecture: text,
  variant: text,
  config: z
    .object({ Labels: map, Entrypoint: texts, Cmd: texts, Env: texts, User: text, WorkingDir: text })
    .optional()
    .catch(undefined),
});

type Descriptor = z.infer<typeof descriptor>;

const mostTags = 100;

/** A manifest with what is inside it. @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, or a read gate's problem */
export async function inspectManifest(
  registry: Registry,
  repository: RepositoryName,
  reference: Reference,
): Promise<Inspected> {
  const { digest, mediaType, bytes } = await findManifest(registry, repository, reference);
  const manifest = manifestSchema.parse(parseJsonObject(bytes) ?? {});
  const tags = await listTagSummaries(registry, repository, { after: undefined, limit: mostTags, digest });
  const { config, layers = [], manifests, subject, artifactType, annotations } = manifest;
  return {
    digest,
    mediaType,
    sizeBytes: bytes.byteLength,
    artifactType,
    subject: subject?.digest,
    annotations,
    tags: tags.items.map(({ name }) => name),
    ...(config !== undefined && { image: await imageOf(registry, repository, { config, layers }) }),
    ...(manifests !== undefined && { manifests: await childrenOf(registry, repository, manifests) }),
  };
}

const shown = ({ digest, mediaType, size, annotations }: Descriptor) => ({
  digest,
  mediaType,
  sizeBytes: size,
  annotations,
});

interface Image {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

async function imageOf(
  registry: Registry,
  repository: RepositoryName,
  { config, layers }: Image,
): Promise<NonNullable<Inspected["image"]>> {
  const read = await readConfig(registry, repository, config);
  const { os, architecture, variant, created, config: run } = read ?? {};
  const isSaid = os !== undefined || architecture !== undefined;
  return {
    config: shown(config),
    layers: layers.map(shown),
    totalBytes: [config, ...layers].reduce((sum, { size }) => sum + size, 0),
    ...(isSaid && { platform: { os, architecture, variant } }),
    createdAt: created,
    labels: run?.Labels,
    entrypoint: run?.Entrypoint,
    command: run?.Cmd,
    environment: run?.Env,
    user: run?.User,
    workingFolder: run?.WorkingDir,
  };
}

const mostConfigBytes = 1024 * 1024;

/** `undefined`: it is not there, larger than any config that people read, or nothing of the kind. */
async function readConfig(registry: Registry, repository: RepositoryName, { digest, size }: Descriptor) {
  const parsed = parseDigest(digest);
  if (parsed === undefined || size > mostConfigBytes) return undefined;
  const [blob] = await Promise.allSettled([findBlob(registry, repository, parsed)]);
  if (blob.status === "rejected" || blob.value.sizeBytes > mostConfigBytes) return undefined;
  const body = await registry.blobs.open(blob.value.key);
  if (body === undefined) return undefined;
  const bytes = Buffer.concat(await Array.fromAsync(chunksOf(body)));
  return configSchema.safeParse(parseJsonObject(bytes)).data;
}

async function childrenOf(registry: Registry, repository: RepositoryName, children: readonly Descriptor[]) {
  const present = await presentManifests(
    registry,
    repository,
    children.map(({ digest }) => digest),
  );
  return children.map((child) => ({
    ...shown(child),
    platform: child.platform,
    isPresent: present.has(child.digest),
  }));
}
