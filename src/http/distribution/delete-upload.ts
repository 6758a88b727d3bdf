import type { Registry } from "../../registry/registry.ts";
import { cancelUpload } from "../../registry/uploads/cancel-upload.ts";
import { actingFor } from "./acting-for.ts";
import type { Endpoint } from "./endpoint.ts";
import { uploadTarget } from "./upload-replies.ts";

/** DELETE of an upload's location (distribution-spec end-14); whoever may push may also give up. */
export const deleteUpload = (registry: Registry): Endpoint => ({
  need: "push",
  async run(call) {
    await cancelUpload(actingFor(registry, call), uploadTarget(call));
    return { kind: "empty", status: 204, headers: {} };
  },
});
