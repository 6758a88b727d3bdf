import type { Digest } from "../../oci/digest.ts";
import type { BlobKey } from "../../platform/blobs/blob-store.ts";

/** Something that is not as it has to be; `check` names each. */
export type Finding =
  | { readonly kind: "missing-bytes"; readonly digest: Digest; readonly key: BlobKey }
  | { readonly kind: "wrong-bytes"; readonly digest: Digest; readonly key: BlobKey; readonly found: Digest }
  | {
      readonly kind: "wrong-size";
      readonly digest: Digest;
      readonly key: BlobKey;
      readonly expectedBytes: number;
      readonly foundBytes: number;
    }
  | { readonly kind: "unreadable-bytes"; readonly digest: Digest; readonly key: BlobKey; readonly reason: string }
  | { readonly kind: "withheld-blob"; readonly digest: Digest; readonly key: BlobKey }
  | { readonly kind: "wrong-manifest"; readonly digest: string; readonly found: string }
  | { readonly kind: "invalid-digest"; readonly digest: string }
  | { readonly kind: "dangling-tag"; readonly repository: string; readonly tag: string; readonly digest: string }
  | { readonly kind: "membership-without-blob"; readonly repository: string; readonly digest: string }
  | { readonly kind: "membership-without-manifest"; readonly repository: string; readonly digest: string }
  | { readonly kind: "unknown-visibility"; readonly repository: string; readonly found: string }
  | { readonly kind: "orphan-file"; readonly key: BlobKey; readonly finished: boolean };

export interface Progress {
  readonly blobs: number;
  readonly ofBlobs: number;
  readonly bytes: number;
  /** Of the store, looked for in the database. */
  readonly files: number;
}

/** One line for an operator. */
export function describeFinding(finding: Finding): string {
  switch (finding.kind) {
    case "missing-bytes":
      return `${finding.digest}: its bytes are missing from the store (key ${finding.key})`;
    case "wrong-bytes":
      return `${finding.digest}: its bytes have the digest ${finding.found} (key ${finding.key})`;
    case "wrong-size":
      return `${finding.digest}: ${finding.foundBytes} bytes where ${finding.expectedBytes} belong (key ${finding.key})`;
    case "unreadable-bytes":
      return `${finding.digest}: its bytes cannot be read: ${finding.reason} (key ${finding.key})`;
    case "withheld-blob":
      return `${finding.digest}: its bytes are right again, and still withheld (key ${finding.key})`;
    case "wrong-manifest":
      return `${finding.digest}: the manifest's bytes have the digest ${finding.found}`;
    case "invalid-digest":
      return `${finding.digest}: no digest`;
    case "dangling-tag":
      return `${finding.repository}:${finding.tag} names ${finding.digest}, which the repository does not have`;
    case "membership-without-blob":
      return `${finding.repository} has ${finding.digest}, but there is no such blob`;
    case "membership-without-manifest":
      return `${finding.repository} has ${finding.digest}, but there is no such manifest`;
    case "unknown-visibility":
      return `${finding.repository} is ${finding.found}, which is no visibility: nobody sees it without a grant`;
    case "orphan-file":
      return `${finding.key}: ${finding.finished ? "bytes" : "bytes of an upload"} that nothing in the database names`;
    default:
      return finding satisfies never;
  }
}
