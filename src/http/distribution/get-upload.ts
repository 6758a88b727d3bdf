import type { Registry } from "../../registry/registry.ts";
import { findUpload } from "../../registry/uploads/session.ts";
import type { Endpoint } from "./endpoint.ts";
import { uploadLocation, uploadTarget } from "./upload-replies.ts";

/** GET of an upload's location (distribution-spec end-13): where it stands. */
export const getUpload = (registry: Registry): Endpoint => ({
  need: "push",
  async run(call) {
    const position = await findUpload(registry, uploadTarget(call));
    return {
      kind: "empty",
      status: 204,
      headers: {
        location: uploadLocation(position),
        // Clients go on one byte after the end: with nothing there yet, that has to be byte 0.
        range: `0-${position.size - 1}`,
        "docker-upload-uuid": position.id,
      },
    };
  },
});
