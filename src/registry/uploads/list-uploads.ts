import type { Registry } from "../registry.ts";
import { type Page, type PageRequest, toPage } from "../repositories.ts";

/** An open upload as the operator sees it; times are milliseconds since 1970. */
export interface UploadSummary {
  readonly id: string;
  readonly repository: string;
  readonly principal: string;
  readonly sizeBytes: number;
  readonly startedAt: number;
  readonly activeAt: number;
}

/** Every open upload, in the order of the ids. */
export async function listUploads({ database }: Registry, { after, limit }: PageRequest): Promise<Page<UploadSummary>> {
  const rows = await database.read
    .selectFrom("uploads")
    .select(["id", "repository", "principal", "size_bytes", "started_at", "active_at"])
    .$if(after !== undefined, (query) => query.where("id", ">", after ?? ""))
    .orderBy("id")
    .limit(limit + 1)
    .execute();
  const uploads = rows.map(({ id, repository, principal, size_bytes, started_at, active_at }) => ({
    id,
    repository,
    principal,
    sizeBytes: size_bytes,
    startedAt: started_at,
    activeAt: active_at,
  }));
  return toPage(uploads, limit);
}
