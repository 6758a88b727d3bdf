import { mkdir, readFile, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { isAbsent } from "../platform/storage/is-absent.ts";
import { replacePrivateFile } from "../platform/storage/replace-private-file.ts";
import { StartError } from "./start-error.ts";

/** By a server's origin, what `berth login` has got there: the cookie of a session, or a token for this machine. */
const savedSchema = z.record(
  z.string(),
  z.union([
    z.object({ name: z.string(), token: z.string(), tokenId: z.string() }),
    z.object({ name: z.string(), cookie: z.string() }),
  ]),
);
export type SavedSessions = z.infer<typeof savedSchema>;

const sessions = "sessions.json";

/** @throws StartError */
export const readSavedSessions = async (): Promise<SavedSessions> => (await readSaved(sessions, savedSchema)) ?? {};

export const saveSessions = (saved: SavedSessions): Promise<void> => save(sessions, saved);

/** What docker has had kept, by a server's address as docker gives it. */
const dockerSchema = z.record(z.string(), z.object({ username: z.string(), secret: z.string() }));
export type DockerCredentials = z.infer<typeof dockerSchema>;
const docker = "docker-credentials.json";

/** @throws StartError */
export const readDockerCredentials = async (): Promise<DockerCredentials> =>
  (await readSaved(docker, dockerSchema)) ?? {};

export const saveDockerCredentials = (saved: DockerCredentials): Promise<void> => save(docker, saved);

const pathOf = (name: string): string =>
  join(process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "berth", name);

async function readSaved<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const path = pathOf(name);
  try {
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw new StartError(`${path}: it cannot be read; remove it and sign in again`);
  }
}

/** Its owner alone may read it. */
async function save(name: string, saved: Readonly<Record<string, unknown>>): Promise<void> {
  const path = pathOf(name);
  if (Object.keys(saved).length === 0) return rm(path, { force: true });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replacePrivateFile(path, `${JSON.stringify(saved)}\n`);
}
