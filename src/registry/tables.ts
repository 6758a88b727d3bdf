import type { Generated } from "kysely";
import type { Visibility } from "../oci/visibility.ts";

/** Times are milliseconds since 1970; digests, names and keys are text compared byte by byte. */
declare module "../platform/database/database.ts" {
  interface Tables {
    repositories: {
      /** Never given out twice: what was allowed on a repository ends with it, whatever gets its name. */
      readonly id: Generated<number>;
      readonly name: string;
      readonly created_at: number;
      /** Who may pull without a grant. */
      readonly visibility: Generated<Visibility>;
    };
    /** Repositories that are deleted, and whose other rows, which nobody finds any more, are still to go. */
    doomed_repositories: { readonly id: number };
    /** Which key holds a digest's bytes. Who may see them is `repository_blobs`. */
    blobs: {
      readonly digest: string;
      readonly blob_key: string;
      readonly size_bytes: number;
      readonly created_at: number;
      /** When its bytes were found to be damaged: until they are pushed again, nobody gets them. */
      readonly damaged_at: number | null;
    };
    /** The only read gate of blobs. Without an edge that needs it, a row lasts until its lease has run out. */
    repository_blobs: {
      readonly repository_id: number;
      readonly digest: string;
      /** `neverMs` while a manifest of the repository names the blob; the collector sets right what is not so. */
      readonly leased_until: number;
    };
    /** Bytes and what they say of themselves, the same in every repository. */
    manifests: {
      readonly digest: string;
      readonly media_type: string;
      readonly bytes: Uint8Array;
      readonly size_bytes: number;
      readonly artifact_type: string | null;
      readonly subject: string | null;
      /** JSON, as the referrers list shows it. */
      readonly annotations: string | null;
      /** Of the referrers list's entry: what a page is cut by, before anything large is read. */
      readonly descriptor_bytes: number;
    };
    /** The only read gate of manifests; subject and artifact type once more, for the referrers index. */
    repository_manifests: {
      readonly repository_id: number;
      readonly digest: string;
      readonly subject: string | null;
      readonly artifact_type: string | null;
      readonly pushed_at: number;
    };
    /** What a manifest names, by digest: the other end may be absent (sparse indexes, foreign layers). */
    edges: {
      readonly repository_id: number;
      readonly child: string;
      readonly parent: string;
      readonly kind: string;
    };
    tags: {
      readonly repository_id: number;
      readonly name: string;
      readonly digest: string;
      readonly created_at: number;
      readonly updated_at: number;
    };
    uploads: {
      readonly id: string;
      readonly repository: string;
      readonly principal: string;
      readonly blob_key: string;
      /** What the blob store wants back at the next append. */
      readonly state: string;
      readonly size_bytes: number;
      readonly algorithm: string;
      /** Digest of the bytes so far, while one process has seen them all. */
      readonly digest: string | null;
      readonly started_at: number;
      readonly active_at: number;
      /** The request that is writing, and until when it is believed. */
      readonly holder: string | null;
      readonly held_until: number;
    };
    /** Keys whose bytes nobody needs any more, and when they may go; of an upload, with the state it ended in. */
    doomed_blobs: { readonly blob_key: string; readonly state: string | null; readonly delete_after: number };
  }
}
