import { resolve } from "node:path";
import type { Fixture } from "./fixture.ts";
import { run } from "./run.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

export interface TestRobot {
  /** As it signs in. */
  readonly name: string;
  readonly secret: string;
}

/** A robot that may push to one namespace, made as an operator makes it. */
export async function makeRobot({ server }: Fixture, organization: string): Promise<TestRobot> {
  const command = (...args: readonly string[]) => run([berth, ...args, "--data", server.data, "--json"]);
  await command("org", "create", organization);
  const { stdout } = await command("robot", "create", "ci", "--org", organization);
  const made = JSON.parse(stdout) as TestRobot;
  await command("grant", "add", "developer", "--robot", made.name, "--namespace", organization);
  return made;
}
