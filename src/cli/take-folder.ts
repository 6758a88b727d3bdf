import type { Config } from "../platform/config/schema.ts";
import { type FolderLock, lockDataFolder } from "../platform/data-folder/lock-data-folder.ts";
import { makeDataFolder } from "../platform/data-folder/make-data-folder.ts";
import { StartError, startStep } from "./start-error.ts";

/** Takes the data folder for this server, and makes it first where it is missing. @throws StartError */
export async function takeFolder({ data, http }: Config): Promise<FolderLock> {
  const lock = await startStep(`data: ${data}`, async () => {
    await makeDataFolder(data);
    return lockDataFolder(data, http.workers > 1);
  });
  if (lock === undefined) throw new StartError(`${data}: another server is running on this data folder`);
  return lock;
}
