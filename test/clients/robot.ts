import { resolve } from "node:path";
import { type Fixture, trusting } from "./fixture.ts";
import { run } from "./run.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

export interface TestRobot {
  /** As it signs in. */
  readonly name: string;
  readonly secret: string;
}

/** A robot that may push to one namespace, made as an operator makes it. */
const makeRobot = async (fixture: Fixture, organization: string): Promise<TestRobot> => {
  const command = commandOn(fixture);
  await command("org", "create", organization);
  const { stdout } = await command("robot", "create", "ci", "--org", organization);
  const made = JSON.parse(stdout) as TestRobot;
  await command("grant", "add", "developer", "--robot", made.name, "--namespace", organization);
  return made;
};

const audience = "https://registry.example";

/** One without a secret, whose password is a token that an issuer has signed for a job. */
const makeJob = async (fixture: Fixture, organization: string): Promise<TestRobot> => {
  const { issuer } = fixture;
  const command = commandOn(fixture);
  await command("org", "create", organization);
  const { stdout } = await command("robot", "create", "ci", "--org", organization, "--no-secret");
  const { name } = JSON.parse(stdout) as TestRobot;
  await command("grant", "add", "developer", "--robot", name, "--namespace", organization);
  const trust = ["--issuer", issuer.url, "--audience", audience, "--claim", "repository=acme/app"];
  await command("workload", "add", name, ...trust);
  return { name, secret: await issuer.sign({ aud: audience, repository: "acme/app", jti: crypto.randomUUID() }) };
};

/** Somebody who may do everything, with a token that is limited to one namespace. */
const makeToken = async (fixture: Fixture, organization: string): Promise<TestRobot> => {
  const command = commandOn(fixture);
  await command("org", "create", organization);
  const scope = `${organization}/**:read,create,update`;
  const { stdout } = await command("token", "create", "--user", "admin", "--scope", scope);
  const { token } = JSON.parse(stdout) as { readonly token: string };
  return { name: "admin", secret: token };
};

const commandOn =
  ({ server, issuer }: Fixture) =>
  (...args: readonly string[]) =>
    run([berth, ...args, "--data", server.data, "--json"], { env: trusting(issuer) });

/** What programs sign in as, and the organization that is made for each. */
export const programs = [
  ["a robot", "robots", makeRobot],
  ["a job with a token of another issuer", "jobs", makeJob],
  ["somebody with a personal token", "tokens", makeToken],
] as const;

export const refusedWith = /unauthorized|denied|authentication required|authorization failed|401|403/i;
