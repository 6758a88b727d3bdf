import { usualItems, toTime } from "../../../access/api/parameters.ts";
import { one } from "../../../access/api/removal.ts";
import { type Route, route } from "../../../access/api/route.ts";
import { fail } from "../../../oci/problem.ts";
import type { Registry } from "../../../registry/registry.ts";
import { cancelUploadById } from "../../../registry/uploads/cancel-upload.ts";
import { listUploads } from "../../../registry/uploads/list-uploads.ts";
import * as contracts from "./contract.ts";
import { pageAs } from "./routes.ts";

export const uploadRoutes = (registry: Registry): readonly Route[] => [
  route(contracts.listUploads, async ({ query: { after, limit = usualItems } }) => {
    const page = await listUploads(registry, { after, limit });
    return pageAs(
      page,
      ({ startedAt, activeAt, ...upload }) => ({
        ...upload,
        startedAt: toTime(startedAt),
        activeAt: toTime(activeAt),
      }),
      ({ id }) => id,
    );
  }),
  route(contracts.cancelUpload, async ({ params: { upload }, dryRun, envelope: by }) => {
    const isThere = dryRun ? await isOpen(registry, upload) : await cancelUploadById({ ...registry, by }, upload);
    return isThere ? { dryRun, removes: [one("upload", upload)] } : fail({ code: "OBJECT_UNKNOWN", what: "upload" });
  }),
];

async function isOpen({ database }: Registry, id: string): Promise<boolean> {
  const row = await database.read.selectFrom("uploads").select("id").where("id", "=", id).executeTakeFirst();
  return row !== undefined;
}
