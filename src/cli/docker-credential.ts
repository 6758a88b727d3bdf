import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { z } from "zod";
import { endSaved } from "./logout.ts";
import { serverOf } from "./remote-api.ts";
import { readDockerCredentials, readSavedSessions, saveDockerCredentials, saveSessions } from "./saved-sessions.ts";
import { StartError } from "./start-error.ts";

/**
 * `berth docker-credential`: what docker, podman and others ask of a program called `docker-credential-berth`. It gives
 * them what `berth login` has got, and keeps what they hand it.
 */
export function addDockerCredential(program: Command): void {
  const helper = program
    .command("docker-credential")
    .description("a credential helper of docker's, as which it is called");
  const verbs = {
    get: ["give the name and secret for the server on standard input", get],
    store: ["keep what is on standard input", store],
    erase: ["forget the server on standard input, and end its token", erase],
    list: ["tell which servers there are", list],
  } as const;
  for (const [verb, [description, run]] of Object.entries(verbs))
    helper.command(verb).description(description).option("--json", "it prints JSON in any case").action(run);
}

const mostInputCharacters = 64 * 1024;

async function input(): Promise<string> {
  const given = (await text(process.stdin)).trim();
  if (given === "" || given.length > mostInputCharacters) throw new StartError("standard input has to name a server");
  return given;
}

/** What a server may be called in the files of sessions: docker leaves the scheme out. */
function originsOf(server: string): readonly string[] {
  const plain = server.replace(/\/+$/, "");
  if (plain.includes("://")) return [URL.parse(plain)?.origin ?? plain];
  const host = plain.split("/", 1)[0] ?? "";
  return ["https", "http"].flatMap((scheme) => URL.parse(`${scheme}://${host}`)?.origin ?? []);
}

async function get(): Promise<void> {
  const server = await input();
  const kept = (await readDockerCredentials())[server];
  const [saved] = await tokensFor(server);
  const found = kept ?? (saved && { username: saved.name, secret: saved.token });
  if (found === undefined) {
    // Word by word what docker knows as "none", and goes on without.
    process.stdout.write("credentials not found in native keychain\n");
    process.exitCode = 1;
    return;
  }
  const told = { ServerURL: server, Username: found.username, Secret: found.secret };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

async function tokensFor(server: string) {
  const sessions = await readSavedSessions();
  return originsOf(server).flatMap((origin) => {
    const saved = sessions[origin];
    return saved !== undefined && "token" in saved ? [{ ...saved, origin }] : [];
  });
}

const storedSchema = z.object({ ServerURL: z.string().min(1), Username: z.string(), Secret: z.string() });

async function store(): Promise<void> {
  const { success, data } = storedSchema.safeParse(parseJson(await input()));
  if (!success) throw new StartError("standard input has to be JSON with ServerURL, Username and Secret");
  const { ServerURL: server, Username: username, Secret: secret } = data;
  await saveDockerCredentials({ ...(await readDockerCredentials()), [server]: { username, secret } });
}

async function erase(): Promise<void> {
  const server = await input();
  const { [server]: _, ...others } = await readDockerCredentials();
  await saveDockerCredentials(others);
  for (const { origin, ...saved } of await tokensFor(server)) {
    const { [origin]: __, ...rest } = await readSavedSessions();
    await saveSessions(rest);
    // A server that is away must not keep anyone from forgetting it.
    await endSaved(serverOf(origin, undefined), saved).catch(() => undefined);
  }
}

async function list(): Promise<void> {
  const tokens = Object.entries(await readSavedSessions()).flatMap(([origin, saved]) =>
    "token" in saved ? [[origin, saved.name] as const] : [],
  );
  const kept = Object.entries(await readDockerCredentials()).map(
    ([server, { username }]) => [server, username] as const,
  );
  process.stdout.write(`${JSON.stringify(Object.fromEntries([...tokens, ...kept]))}\n`);
}

function parseJson(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch {
    return undefined;
  }
}
