/** What a client of a random program does. Blobs, manifests, repositories and tags go by short names of its universe. */
export type Operation =
  | { readonly kind: "push-blob"; readonly repository: string; readonly blob: string }
  | {
      readonly kind: "push";
      readonly repository: string;
      readonly manifest: string;
      readonly tags: readonly string[];
      readonly condition?: Condition;
    }
  | { readonly kind: "mount"; readonly repository: string; readonly from: string; readonly blob: string }
  | { readonly kind: "head-blob" | "get-blob" | "delete-blob"; readonly repository: string; readonly blob: string }
  | { readonly kind: "get-tag" | "delete-tag"; readonly repository: string; readonly tag: string }
  | { readonly kind: "get-manifest" | "delete-manifest"; readonly repository: string; readonly manifest: string }
  | { readonly kind: "list-tags"; readonly repository: string }
  | {
      readonly kind: "list-referrers";
      readonly repository: string;
      readonly subject: string;
      readonly mostItems: number;
    }
  /** No request: the leases of a blob that nothing names run out. */
  | { readonly kind: "expire"; readonly blob: string }
  | { readonly kind: "collect" };

export type Kind = Operation["kind"];

/** `If-Match` and `If-None-Match: *`, by short names. */
export type Condition =
  | { readonly kind: "is-absent" }
  | { readonly kind: "exists" }
  | { readonly kind: "is-one-of"; readonly manifests: readonly string[] };

/** What anyone can be told; a list is told as its JSON, a found manifest by its name. */
export const done = "done";
export const missing = "missing";
/** A manifest's content is not there. */
export const incomplete = "incomplete";
/** The condition does not hold. */
export const refused = "refused";

/** Those that leave everything as it is; a HEAD may renew a lease. */
export const observes = ({ kind }: Operation): boolean =>
  ["get-blob", "get-tag", "get-manifest", "list-tags", "list-referrers"].includes(kind);

export function describeOperation(operation: Operation): string {
  const { kind, ...rest } = operation;
  return `${kind} ${Object.values(rest)
    .map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value)))
    .join(" ")}`.trim();
}
