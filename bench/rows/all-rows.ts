import type { Row } from "../measure/row.ts";
import { manifestAmongAccounts, tokens } from "./accounts.ts";
import { blob, blobOverTls, largeBlob, ranges } from "./blobs.ts";
import { deleteOfMany } from "./deletes.ts";
import { catalog, manifestOfMany, referrers, tagsFew, tagsMany } from "./lists.ts";
import { basic, bearer, manifest } from "./manifests.ts";
import { downloads, idle, uploads } from "./memory.ts";
import { besidePush, slowDisk } from "./pulls-beside-pushes.ts";
import { layerPushes, smallImages } from "./pushes.ts";
import { starts } from "./starts.ts";
import { twoWorkers } from "./workers.ts";

export const allRows: readonly Row[] = [
  manifest,
  bearer,
  manifestOfMany,
  blob,
  largeBlob,
  ranges,
  blobOverTls,
  ...layerPushes,
  smallImages,
  slowDisk,
  tagsFew,
  tagsMany,
  catalog,
  referrers,
  deleteOfMany,
  basic,
  ...manifestAmongAccounts,
  tokens,
  starts,
  idle,
  uploads,
  downloads,
  besidePush,
  twoWorkers,
];
