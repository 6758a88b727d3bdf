import { expect } from "bun:test";
import { type Api, type Ask, freshName, password } from "../api/checked-api.ts";
import { type Answer, basic, locationOf } from "../protocol/registry-client.ts";
import { pushImage } from "../protocol/content.ts";

/** All that requests name of an organization and what it has. */
export interface Tenant {
  readonly organization: string;
  readonly repository: string;
  /** Another one, of the same content. */
  readonly sibling: string;
  readonly namespaceBelow: string;
  readonly team: string;
  /** Of a member who is in the team. */
  readonly account: string;
  readonly robot: string;
  readonly robotToken: string;
  readonly accountToken: string;
  readonly grant: string;
  readonly protection: string;
  /** By which tokens of another issuer are the robot's. */
  readonly rule: string;
  readonly upload: string;
  readonly tag: string;
  readonly digest: string;
  readonly blob: string;
  /** Of the whole instance. */
  readonly role: string;
  /** A name that nothing has. */
  readonly fresh: () => string;
  /** Of the robot, and good for one rotation. */
  readonly newToken: () => Promise<string>;
}

export const trust = {
  issuer: "https://issuer.example",
  audience: "https://registry.example",
  conditions: [{ claim: "sub", pattern: "repo:acme/app:*" }],
};

const idIn = (answer: Answer): string => (answer.json() as { readonly id: string }).id;

/** As the administrator, where nobody else is said. */
export async function succeed(api: Api, request: string, ask: Ask = {}): Promise<Answer> {
  const [method = "", path = ""] = request.split(" ");
  const answer = await api.ask(method, path, ask);
  expect([request, answer.status < 300, answer.text]).toEqual([request, true, answer.text]);
  return answer;
}

export async function addAccount(api: Api, name: string): Promise<void> {
  await succeed(api, "POST /accounts", { json: { name, password } });
}

/** A robot of an organization with a secret, and the role there. */
export async function addRobot(api: Api, organization: string, role: string): Promise<string> {
  const { name } = (
    await succeed(api, "POST /robots", { json: { name: freshName("robot"), organization } })
  ).json() as { readonly name: string };
  await grantOn(api, organization, { role, to: { kind: "robot", name } });
  const made = await succeed(api, "POST /tokens", { json: { robot: name, name: "secret" } });
  return basic(name, (made.json() as { readonly token: string }).token);
}

/** @returns the grant's id */
export async function grantOn(api: Api, organization: string, given: object): Promise<string> {
  const on = { kind: "organization", name: organization };
  return idIn(await succeed(api, "POST /grants", { json: { on, ...given } }));
}

/** An organization that has one of everything. `owner` is who makes the token that is an account's. */
export async function addTenant(api: Api, tokenOf?: string): Promise<Tenant> {
  const organization = freshName("org");
  const account = freshName("person");
  const repository = `${organization}/app`;
  await addAccount(api, account);
  await succeed(api, "POST /organizations", { json: { name: organization } });
  await succeed(api, `PUT /organizations/${organization}/members/${account}`, { json: { role: "member" } });
  await succeed(api, `POST /organizations/${organization}/teams`, { json: { name: "dev" } });
  await succeed(api, `PUT /organizations/${organization}/teams/dev/members/${account}`);
  const namespaceBelow = `${organization}/below`;
  await succeed(api, "POST /namespaces", { json: { name: namespaceBelow } });
  const protecting = { pattern: "never-*", roles: { create: "maintainer" } };
  const protection = idIn(await succeed(api, `POST /namespaces/${organization}/protections`, { json: protecting }));
  const to = { kind: "team", name: `${organization}/dev` };
  const grant = await grantOn(api, organization, { role: "guest", to });
  const role = freshName("role");
  await succeed(api, "POST /roles", { json: { name: role, permissions: ["repository:read"] } });
  const image = await pushImage(api.registry, repository, { tag: "v1" });
  await pushImage(api.registry, repository, { tag: "moving" });
  const sibling = `${organization}/sibling`;
  await pushImage(api.registry, sibling, { tag: "v1" });
  const begun = await api.registry.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" });
  const robot = (await succeed(api, "POST /robots", { json: { name: "ci", organization } })).json() as {
    readonly name: string;
  };
  const rules = `/robots/${encodeURIComponent(robot.name)}/workload-rules`;
  const newToken = async (): Promise<string> =>
    idIn(await succeed(api, "POST /tokens", { json: { robot: robot.name, name: "secret" } }));
  const owner = tokenOf ?? account;
  const ofAccount = { as: [owner, password] as const, json: { name: "own", scopes: ["**:read"] } };
  return {
    organization,
    repository,
    sibling,
    namespaceBelow,
    team: "dev",
    account,
    robot: robot.name,
    robotToken: await newToken(),
    accountToken: idIn(await succeed(api, "POST /tokens", ofAccount)),
    grant,
    protection,
    rule: idIn(await succeed(api, `POST ${rules}`, { json: trust })),
    upload: locationOf(begun).split("?", 1)[0]?.split("/").at(-1) ?? "",
    tag: "v1",
    digest: image.digest,
    blob: image.layers[0]?.digest ?? "",
    role,
    fresh: () => freshName("fresh"),
    newToken,
  };
}
