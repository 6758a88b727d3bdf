import { type Digest, parseDigest } from "./digest.ts";
import { parseJsonObject, type JsonObject, type JsonValue } from "./json.ts";
import {
  dockerManifest,
  dockerManifestList,
  isNonDistributable,
  type MediaType,
  ociIndex,
  ociManifest,
  parseMediaType,
} from "./media-type.ts";
import { fail } from "./problem.ts";

/** Bytes a manifest may have: the least that distribution-spec demands and the most that clients take. */
export const largestManifestBytes = 4 * 1024 * 1024;

/** Why a manifest names a digest. `content` must be in the repository before the manifest, the others need not. */
export type EdgeKind = "content" | "child" | "foreign";

export interface Edge {
  readonly digest: Digest;
  readonly kind: EdgeKind;
}

/** What the registry has to know of a manifest; the bytes themselves are never rewritten. */
export interface Manifest {
  readonly mediaType: MediaType;
  readonly edges: readonly Edge[];
  readonly subject: Digest | undefined;
  /** As the referrers list shows it: the manifest's own, else the config's media type, else nothing. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

const invalid = (reason: string): never => fail({ code: "MANIFEST_INVALID", reason });

/**
 * Reads a manifest or index (image-spec, manifest.md and image-index.md; docker schema 2).
 * @param contentType the request's Content-Type; without one the body's own `mediaType` counts
 * @throws RegistryError MANIFEST_INVALID, DIGEST_INVALID
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const body =
    parseJsonObject(bytes) ??
    invalid("the manifest is not a JSON object in UTF-8, is nested too deep or has too many members");
  refuseLookalikes(body, manifestFields);
  const mediaType = agreedMediaType(body, contentType);
  if (body["schemaVersion"] !== 2) invalid("schemaVersion must be 2; push the image with a current client");
  switch (mediaType) {
    case ociManifest:
    case dockerManifest:
      return readImage(body, mediaType);
    case ociIndex:
    case dockerManifestList:
      return readIndex(body, mediaType);
    default:
      return invalid(`media type ${mediaType} is not a manifest that this registry stores`);
  }
}

/** As Go's JSON compares names: in any case, a long s and a Kelvin sign included. */
const folded = (name: string): string => name.toUpperCase().toLowerCase();
const spellings = (...fields: readonly string[]) => new Map(fields.map((field) => [folded(field), field]));

const manifestFields = spellings(
  "schemaVersion",
  "mediaType",
  "config",
  "layers",
  "manifests",
  "subject",
  "artifactType",
);
const descriptorFields = spellings("mediaType", "digest", "size", "urls");

/** Clients written in Go read `Layers` as `layers`: what we would overlook, they would act on. */
function refuseLookalikes(object: JsonObject, fields: ReadonlyMap<string, string>): void {
  for (const key of Object.keys(object)) {
    const field = fields.get(folded(key));
    if (field !== undefined && field !== key) invalid(`${key} looks like ${field}, and is not`);
  }
}

/** The same bytes must never mean two things (CVE-2021-41190), so header and body have to agree. */
function agreedMediaType(body: JsonObject, contentType: string | undefined): MediaType {
  const inBody = body["mediaType"];
  if (inBody !== undefined && typeof inBody !== "string") return invalid("mediaType must be a string");
  const header =
    contentType === undefined || contentType === "" ? undefined : parseMediaType(contentType.toLowerCase());
  if (contentType !== undefined && contentType !== "" && header === undefined) {
    return invalid("Content-Type is not a media type");
  }
  const mediaType = header ?? (inBody === undefined ? undefined : parseMediaType(inBody));
  if (mediaType === undefined) return invalid("neither Content-Type nor mediaType names the manifest's type");
  if (inBody !== undefined && inBody !== mediaType) {
    return invalid(`Content-Type ${mediaType} and mediaType ${inBody.slice(0, 255)} differ`);
  }
  const isDocker = mediaType === dockerManifest || mediaType === dockerManifestList;
  if (isDocker && inBody === undefined) return invalid(`a ${mediaType} must name its mediaType`);
  return mediaType;
}

function readImage(body: JsonObject, mediaType: MediaType): Manifest {
  if (body["manifests"] !== undefined) return invalid("a manifest must not have manifests: that is an index");
  const config = readDescriptor(body["config"], "config");
  const layers = readDescriptors(body["layers"], "layers");
  return {
    mediaType,
    edges: [{ digest: config.digest, kind: edgeKind(config) }, ...layers.map(asContent)],
    subject: readSubject(body),
    artifactType: readArtifactType(body) ?? config.mediaType,
    annotations: readAnnotations(body),
  };
}

function readIndex(body: JsonObject, mediaType: MediaType): Manifest {
  if (body["layers"] !== undefined || body["config"] !== undefined) {
    return invalid("an index must not have layers or config: that is a manifest");
  }
  const children = readDescriptors(body["manifests"], "manifests");
  return {
    mediaType,
    edges: children.map(({ digest }) => ({ digest, kind: "child" })),
    subject: readSubject(body),
    artifactType: readArtifactType(body),
    annotations: readAnnotations(body),
  };
}

/** A descriptor's type may have parameters; they are stored and shown, so they are plain text. */
const plainText = /^[\x20-\x7e]{1,512}$/;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly hasUrls: boolean;
}

const edgeKind = (descriptor: Descriptor): EdgeKind =>
  descriptor.hasUrls || isNonDistributable(descriptor.mediaType) ? "foreign" : "content";
const asContent = (descriptor: Descriptor): Edge => ({ digest: descriptor.digest, kind: edgeKind(descriptor) });

function readDescriptors(value: JsonValue | undefined, where: string): readonly Descriptor[] {
  // What Go writes for a list without entries.
  if (value === null) return [];
  if (!Array.isArray(value)) return invalid(`${where} must be a list of descriptors`);
  return value.map((entry, index) => readDescriptor(entry, `${where}[${index}]`));
}

function readDescriptor(value: JsonValue | undefined, where: string): Descriptor {
  if (!isObject(value)) return invalid(`${where} must be a descriptor`);
  refuseLookalikes(value, descriptorFields);
  const { mediaType, digest, size, urls } = value;
  if (typeof mediaType !== "string" || !plainText.test(mediaType) || parseMediaType(mediaType) === undefined) {
    return invalid(`${where}.mediaType must be a media type`);
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    return invalid(`${where}.size must be a whole number of bytes`);
  }
  const parsed = typeof digest === "string" ? parseDigest(digest) : undefined;
  if (parsed === undefined) {
    const given = typeof digest === "string" ? digest.slice(0, 255) : "";
    return fail({ code: "DIGEST_INVALID", given, reason: `${where}.digest is not a digest` });
  }
  return { mediaType, digest: parsed, hasUrls: Array.isArray(urls) && urls.length > 0 };
}

function readSubject(body: JsonObject): Digest | undefined {
  return body["subject"] === undefined || body["subject"] === null
    ? undefined
    : readDescriptor(body["subject"], "subject").digest;
}

function readArtifactType(body: JsonObject): string | undefined {
  const value = body["artifactType"];
  if (value === undefined || value === "") return undefined;
  if (typeof value !== "string" || parseMediaType(value) !== value) return invalid("artifactType must be a media type");
  return value;
}

function readAnnotations(body: JsonObject): Readonly<Record<string, string>> | undefined {
  const value = body["annotations"];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value) || !isAnnotations(value)) return invalid("annotations must be an object of strings");
  return value;
}

const isAnnotations = (value: JsonObject): value is Readonly<Record<string, string>> =>
  Object.values(value).every((text) => typeof text === "string");

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The descriptors of an index as they stand in its bytes, for the referrers list's fallback tags. */
export function readIndexEntries(bytes: Uint8Array): readonly JsonObject[] {
  const manifests = parseJsonObject(bytes)?.["manifests"];
  return Array.isArray(manifests) ? manifests.filter(isObject) : [];
}
