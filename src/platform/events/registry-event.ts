import type { Digest } from "../../oci/digest.ts";
import type { RepositoryName, Tag } from "../../oci/names.ts";
import type { Visibility } from "../../oci/visibility.ts";
import type { BlobKey } from "../blobs/blob-store.ts";

/**
 * Something that happened, as its effect on one row: whoever applies the events in their order, each once or more than
 * once, gets the registry's tables. Times are milliseconds since 1970 by the database's clock.
 */
export type RegistryEvent =
  | {
      readonly kind: "repository-created";
      readonly repository: RepositoryName;
      /** Absent in what was written before there was any: public below `library`, private elsewhere. */
      readonly visibility?: Visibility;
      readonly at: number;
    }
  | {
      readonly kind: "visibility-changed";
      readonly repository: RepositoryName;
      readonly from: Visibility;
      readonly visibility: Visibility;
    }
  /** With all that was in it: its tags, manifests and blobs go without events of their own. */
  | { readonly kind: "repository-deleted"; readonly repository: RepositoryName }
  /** A digest got its key: the first, or another in the place of one whose bytes were damaged. */
  | {
      readonly kind: "blob-stored";
      readonly digest: Digest;
      readonly key: BlobKey;
      readonly sizeBytes: number;
      readonly at: number;
    }
  /** The last repository that had the blob has it no more; its key is doomed too. */
  | { readonly kind: "blob-dropped"; readonly digest: Digest }
  /** The bytes under the key are damaged, and kept from everyone; `null` where they are not, after all. */
  | { readonly kind: "blob-withheld"; readonly digest: Digest; readonly key: BlobKey; readonly at: number | null }
  | { readonly kind: "blob-added"; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: "blob-removed"; readonly repository: RepositoryName; readonly digest: Digest }
  /** Nobody needs the key's bytes any more. */
  | {
      readonly kind: "bytes-doomed";
      readonly key: BlobKey;
      readonly deleteAfter: number;
      /** Of an upload, what the store wants back to end it. */
      readonly state?: string;
    }
  | { readonly kind: "bytes-deleted"; readonly key: BlobKey }
  /** The first repository got the manifest; its bytes are a row, for as long as any repository has it. */
  | {
      readonly kind: "manifest-stored";
      readonly digest: Digest;
      readonly mediaType: string;
      readonly sizeBytes: number;
    }
  | { readonly kind: "manifest-dropped"; readonly digest: Digest }
  | {
      readonly kind: "manifest-pushed";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly at: number;
    }
  | { readonly kind: "manifest-deleted"; readonly repository: RepositoryName; readonly digest: Digest }
  | {
      readonly kind: "tag-created";
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly digest: Digest;
      readonly createdAt: number;
      readonly at: number;
    }
  | {
      readonly kind: "tag-moved";
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly from: Digest;
      readonly digest: Digest;
      readonly createdAt: number;
      readonly at: number;
    }
  | {
      readonly kind: "tag-deleted";
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly from: Digest;
    };
