import type { Access } from "../../access/open-access.ts";
import type { Caller } from "../../access/principal.ts";
import { algorithmOf, type Digest, type DigestAlgorithm, parseDigest, parseDigestAlgorithm } from "../../oci/digest.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { mountBlob } from "../../registry/blobs.ts";
import { findMountSources } from "../../registry/mount-sources.ts";
import type { Registry } from "../../registry/registry.ts";
import { pushBlob } from "../../registry/uploads/finish-upload.ts";
import { startUpload } from "../../registry/uploads/start-upload.ts";
import { actingFor } from "./acting-for.ts";
import type { Call, Endpoint } from "./endpoint.ts";
import { requireDigest } from "./require-reference.ts";
import { blobCreated, chunkOf, sessionOwner, uploadHeaders } from "./upload-replies.ts";

type MountRights = Pick<Access, "authorize" | "visibleTo">;

/** POST /v2/<name>/blobs/uploads/ (distribution-spec end-4a, 4b, 4c and 11). */
export const postUpload = (registry: Registry, access: MountRights): Endpoint => ({
  need: "push",
  async run(call) {
    const { request, caller, repository } = call;
    const mounted = await tryMount(registry, access, call);
    if (mounted !== undefined) return mounted;
    const given = request.query.get("digest");
    const principal = sessionOwner(caller);
    if (given !== null && request.query.get("mount") === null) {
      const digest = requireDigest(given);
      await pushBlob(
        actingFor(registry, call),
        { repository, principal, algorithm: algorithmOf(digest) },
        { digest, ...chunkOf(request) },
      );
      return blobCreated(repository, digest);
    }
    const id = await startUpload(registry, { repository, principal, algorithm: readAlgorithm(request) });
    return { kind: "empty", status: 202, headers: uploadHeaders({ repository, id, size: 0 }) };
  },
});

/** What cannot be mounted becomes an ordinary upload, whatever the reason: the answer tells nothing of the source. */
async function tryMount(registry: Registry, access: MountRights, call: Call): Promise<Reply | undefined> {
  const { request, caller, repository } = call;
  const mount = request.query.get("mount");
  const digest = mount === null ? undefined : parseDigest(mount);
  if (digest === undefined) return undefined;
  const from = request.query.get("from");
  const candidates = await findCandidates(registry, access, { caller, repository, digest, from });
  const readable = await Promise.all(candidates.map((name) => mayRead(access, caller, name)));
  const sources = candidates.filter((_, at) => readable[at]);
  const [first] = candidates;
  if (first !== undefined && sources.length === 0) {
    // The caller may read it, only not with this token: a wider one spares the upload.
    const scopes = [`repository:${repository}:pull,push`, `repository:${first}:pull`];
    return fail({ code: "UNAUTHORIZED", scopes, error: "insufficient_scope" });
  }
  const isMounted = await mountBlob(actingFor(registry, call), { repository, digest, sources });
  return isMounted ? blobCreated(repository, digest) : undefined;
}

const mayRead = async ({ authorize }: MountRights, caller: Caller, name: RepositoryName): Promise<boolean> =>
  (await authorize(caller, "read", { kind: "repository", name })).allowed;

interface Wanted {
  readonly caller: Caller;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly from: string | null;
}

/** Where the blob may be taken from by right, whatever the scope of the token at hand. */
async function findCandidates(
  registry: Registry,
  access: MountRights,
  { caller, repository, digest, from }: Wanted,
): Promise<readonly RepositoryName[]> {
  const { scope: _, ...owner } = caller;
  if (from === null) {
    const { visible } = await access.visibleTo(owner);
    return findMountSources(registry, visible, { repository, digest });
  }
  const name = parseRepositoryName(from);
  return name !== undefined && (await mayRead(access, owner, name)) ? [name] : [];
}

function readAlgorithm({ query }: Incoming): DigestAlgorithm {
  const given = query.get("digest-algorithm");
  if (given === null) return "sha256";
  const reason = "the digest algorithm must be sha256 or sha512";
  return parseDigestAlgorithm(given) ?? fail({ code: "DIGEST_INVALID", given: given.slice(0, 64), reason });
}
