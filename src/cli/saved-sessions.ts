import { mkdir, readFile, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { isAbsent } from "../platform/storage/is-absent.ts";
import { replacePrivateFile } from "../platform/storage/replace-private-file.ts";
import { StartError } from "./start-error.ts";

/** By a server's origin, the cookie of the session that `berth login` has begun there. */
const savedSchema = z.record(z.string(), z.object({ name: z.string(), cookie: z.string() }));
export type SavedSessions = z.infer<typeof savedSchema>;

const sessionsPath = (): string =>
  join(process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "berth", "sessions.json");

/** @throws StartError */
export async function readSavedSessions(): Promise<SavedSessions> {
  const path = sessionsPath();
  try {
    return savedSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (isAbsent(error)) return {};
    throw new StartError(`${path}: it cannot be read; remove it and sign in again`);
  }
}

/** Its owner alone may read it. */
export async function saveSessions(sessions: SavedSessions): Promise<void> {
  const path = sessionsPath();
  if (Object.keys(sessions).length === 0) return rm(path, { force: true });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replacePrivateFile(path, `${JSON.stringify(sessions)}\n`);
}
