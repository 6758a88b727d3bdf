import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";

/** The endpoints below a repository (distribution-spec, "Endpoints"). */
export type EndpointName = "blob" | "manifest" | "referrers" | "tags" | "uploads" | "upload";

export type Route =
  | { readonly kind: "base" }
  | { readonly kind: "catalog" }
  | { readonly kind: "extensions" }
  | {
      readonly kind: "repository";
      readonly endpoint: EndpointName;
      readonly repository: RepositoryName;
      readonly target: string;
    };

/**
 * Reads a path from its right end, for a repository's name may hold `blobs`, `manifests` or `tags` too.
 * @param path not decoded, without the query
 * @returns undefined for a path that is not below `/v2`
 * @throws RegistryError NAME_INVALID, ROUTE_UNKNOWN
 */
export function parseRoute(path: string): Route | undefined {
  if (path !== "/v2" && !path.startsWith("/v2/")) return undefined;
  const segments = path.split("/").slice(2).map(decodeSegment);
  const rest = path.slice("/v2/".length);
  if (rest === "") return { kind: "base" };
  if (rest === "_catalog") return { kind: "catalog" };
  if (rest === "_oci/ext/discover") return { kind: "extensions" };
  const { endpoint, name, target } = readFromRight(segments) ?? fail({ code: "ROUTE_UNKNOWN" });
  const given = name.join("/");
  const isPlain = name.every((segment) => !segment.includes("/"));
  const repository = isPlain ? parseRepositoryName(given) : undefined;
  if (repository === undefined) return fail({ code: "NAME_INVALID", given: given.slice(0, 255) });
  return { kind: "repository", endpoint, repository, target };
}

interface Tail {
  readonly endpoint: EndpointName;
  readonly name: readonly string[];
  readonly target: string;
}

/** Without anything left for a name there is no such endpoint. */
function readFromRight(segments: readonly string[]): Tail | undefined {
  const [third = "", second = "", last = ""] = [segments.at(-3), segments.at(-2), segments.at(-1)];
  const tail = (endpoint: EndpointName, taken: number): Tail | undefined =>
    segments.length > taken ? { endpoint, name: segments.slice(0, -taken), target: last } : undefined;
  if (third === "blobs" && second === "uploads") return last === "" ? tail("uploads", 3) : tail("upload", 3);
  if (second === "blobs") return last === "uploads" ? tail("uploads", 2) : tail("blob", 2);
  if (second === "manifests") return tail("manifest", 2);
  if (second === "referrers") return tail("referrers", 2);
  if (second === "tags" && last === "list") return tail("tags", 2);
  return undefined;
}

/** Decoded once, each part by itself: an encoded slash is no slash, and no name or reference has one. */
function decodeSegment(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return fail({ code: "NAME_INVALID", given: segment.slice(0, 255) });
  }
}
