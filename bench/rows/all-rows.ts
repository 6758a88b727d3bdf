import type { Row } from "../measure/row.ts";
import { blob, blobOverTls, largeBlob, ranges } from "./blobs.ts";
import { basic, bearer, manifest } from "./manifests.ts";
import { layerPushes, smallImages } from "./pushes.ts";

export const allRows: readonly Row[] = [
  manifest,
  bearer,
  basic,
  blob,
  largeBlob,
  ranges,
  blobOverTls,
  ...layerPushes,
  smallImages,
];
