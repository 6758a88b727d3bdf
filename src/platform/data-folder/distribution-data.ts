import { existsSync } from "node:fs";
import { join } from "node:path";

/** Whether a folder is the storage of distribution, the registry whose images Berth does not read in place. */
export const holdsDistributionData = (folder: string): boolean => existsSync(join(folder, "docker/registry/v2"));
