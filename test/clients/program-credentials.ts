import { resolve } from "node:path";
import type { Fixture } from "./fixture.ts";
import { run } from "./run.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

/** What a program logs in with. */
export interface TestCredentials {
  /** As it signs in. */
  readonly name: string;
  readonly secret: string;
}

/** As an operator does, and what is told of it. */
async function operate<T>({ server }: Fixture, ...args: readonly string[]): Promise<T> {
  const { stdout } = await run([berth, ...args, "--data", server.data, "--json"]);
  return JSON.parse(stdout) as T;
}

/** A robot that may push to one namespace. */
async function makeRobot(fixture: Fixture, organization: string): Promise<TestCredentials> {
  await operate(fixture, "org", "create", organization);
  const made = await operate<TestCredentials>(fixture, "robot", "create", "ci", "--org", organization);
  await operate(fixture, "grant", "add", "developer", "--robot", made.name, "--namespace", organization);
  return made;
}

/** A token of somebody who may do everything, which is limited to one namespace. */
async function makeToken(fixture: Fixture, organization: string): Promise<TestCredentials> {
  await operate(fixture, "org", "create", organization);
  const scope = `${organization}/**:read,create,update`;
  const { token } = await operate<{ readonly token: string }>(
    fixture,
    "token",
    "create",
    "--user",
    "admin",
    "--scope",
    scope,
  );
  return { name: "admin", secret: token };
}

/** The credentials of programs: what they are, the namespace that they are good for, and how they are made. */
export const programCredentials = [
  ["a robot's secret", "robots", makeRobot],
  ["a personal token", "tokens", makeToken],
] as const;

export const refusedWith = /unauthorized|denied|authentication required|authorization failed|401|403/i;
