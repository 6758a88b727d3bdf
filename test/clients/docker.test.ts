import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Fixture, openFixture, startDaemon } from "./fixture.ts";
import { archiveLayout, type Layout } from "./images/layout.ts";
import { busyboxGreeting, debianOutput, otherArchitecture } from "./images/make.ts";
import { makeBusyboxImage, makeDebianImage, makeForeignImage, makeLargeImage } from "./images/make.ts";
import { ask, count, digestOf, expectMounts, watch } from "./request-log.ts";
import { programs, refusedWith } from "./robot.ts";
import { attempt, type Outcome, run, type RunOptions, runRefused } from "./run.ts";
import { startServer } from "../support/server.ts";
import { signInMachine } from "./signed-in-machine.ts";
import { describeClient } from "./tools.ts";

// The engine names itself and, in brackets, the command line that spoke to it.
const engine = /^docker\/\S+ .*UpstreamClient\(Docker-Client\//;
const commandLine = /^Docker-Client\//;

describeClient("docker engine", ["root", "dockerd", "docker", "containerd", "runc", "dpkg", "/bin/busybox"], () => {
  let fixture: Fixture;
  let host: string;
  let docker: (args: readonly string[], options?: RunOptions) => Promise<Outcome>;
  let refused: (args: readonly string[], options?: RunOptions) => Promise<string>;

  beforeAll(async () => {
    fixture = await openFixture("docker");
    const { folder, server } = fixture;
    host = server.host;
    const socket = `unix://${folder}/docker.sock`;
    const env = { DOCKER_HOST: socket, DOCKER_CONFIG: join(folder, "config"), DOCKER_CLI_EXPERIMENTAL: "enabled" };
    docker = (args, options) => run(["docker", ...args], { env, ...options });
    refused = (args, options) => runRefused(["docker", ...args], { env, ...options });
    const command = [
      "dockerd",
      "--storage-driver=vfs",
      "--iptables=false",
      "--ip6tables=false",
      "--bridge=none",
      "--data-root",
      join(folder, "data"),
      "--exec-root",
      join(folder, "exec"),
      "--pidfile",
      join(folder, "pid"),
      "--host",
      socket,
    ];
    await startDaemon(fixture, command, async () => (await attempt(["docker", "version"], { env })).exitCode === 0);
    await load(await makeBusyboxImage(join(folder, "busybox"), "berth.test/busybox:1"));
    await load(await makeDebianImage(join(folder, "debian"), "berth.test/debian:1"));
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });

  async function load(layout: Layout): Promise<void> {
    await docker(["load", "--input", await archiveLayout(layout)]);
  }

  async function push(image: string, reference: string): Promise<void> {
    await docker(["tag", `berth.test/${image}`, `${host}/${reference}`]);
    await docker(["push", `${host}/${reference}`]);
  }

  test("pushes without a pasted secret, on a machine that a browser has let in, until it is logged out", async () => {
    const DOCKER_CONFIG = join(fixture.folder, "helped");
    const DOCKER_HOST = `unix://${fixture.folder}/docker.sock`;
    const env = { ...(await signInMachine(fixture)), DOCKER_CONFIG, DOCKER_HOST };
    await mkdir(DOCKER_CONFIG);
    await writeFile(join(DOCKER_CONFIG, "config.json"), JSON.stringify({ credHelpers: { [host]: "berth" } }));
    const reference = `${host}/helped/busybox:1`;
    await docker(["tag", "berth.test/busybox:1", reference], { env });
    await docker(["push", reference], { env });
    expect(await digestOf(fixture.server, "helped/busybox", "1")).toStartWith("sha256:");
    await docker(["logout", host], { env });
    expect(await refused(["push", reference], { env })).toMatch(
      /unauthorized|authentication required|denied|no basic auth/i,
    );
  });

  test("logs in, and not with a wrong password", async () => {
    const seen = watch(fixture.server);
    const login = ["login", "--username", "admin", "--password-stdin", host];
    expect(await refused(login, { input: "wrong" })).toMatch(/unauthorized|401/i);
    const { stdout } = await docker(login, { input: fixture.server.admin.password });
    expect(stdout).toContain("Login Succeeded");
    await seen.from(engine);
  });

  test("pushes, pulls and runs an image", async () => {
    const seen = watch(fixture.server);
    const reference = `${host}/team/debian:1`;
    await push("debian:1", "team/debian:1");
    const digest = await digestOf(fixture.server, "team/debian", "1");
    await docker(["image", "rm", reference, "berth.test/debian:1"]);
    expect((await docker(["pull", reference])).stdout).toContain(`Digest: ${digest}`);
    expect((await docker(["run", "--rm", "--network", "none", reference])).stdout.trim()).toBe(debianOutput);
    expect((await docker(["pull", reference])).stdout).toContain("Image is up to date");
    await docker(["pull", `${host}/team/debian@${digest}`]);
    const requests = await seen.from(engine);
    expect(count(requests, { method: "PATCH", path: /^\/v2\/team\/debian\/blobs\/uploads\//, status: 202 })).toBe(6);
  });

  test("mounts the layers of an image that it pushes to a second repository", async () => {
    const seen = watch(fixture.server);
    await docker(["tag", `${host}/team/debian:1`, `${host}/other/debian:1`]);
    const { stdout } = await docker(["push", `${host}/other/debian:1`]);
    expect(stdout.match(/Mounted from team\/debian/g)).toHaveLength(5);
    expectMounts(await seen.from(engine), { repository: "other/debian", layers: 5, uploaded: 1 });
    expect(await digestOf(fixture.server, "other/debian", "1")).toBe(
      await digestOf(fixture.server, "team/debian", "1"),
    );
  });

  test("makes a manifest list of two platforms and pulls its own", async () => {
    const seen = watch(fixture.server);
    const list = `${host}/team/multi:1`;
    await load(await makeForeignImage(join(fixture.folder, "foreign"), "berth.test/foreign:1"));
    await push("busybox:1", "team/multi:here");
    await push("foreign:1", "team/multi:there");
    await seen.from(engine);

    const created = watch(fixture.server);
    await docker(["manifest", "create", "--insecure", list, `${host}/team/multi:here`, `${host}/team/multi:there`]);
    await docker(["manifest", "push", "--insecure", list]);
    const inspected = JSON.parse((await docker(["manifest", "inspect", "--insecure", list])).stdout) as {
      readonly manifests: readonly { readonly platform: { readonly architecture: string } }[];
    };
    await created.from(commandLine);
    expect(inspected.manifests.map((entry) => entry.platform.architecture)).toContain(otherArchitecture);
    expect(inspected.manifests).toHaveLength(2);

    const pulled = watch(fixture.server);
    expect((await docker(["run", "--rm", "--network", "none", list])).stdout.trim()).toBe(busyboxGreeting);
    await pulled.from(engine);
  });

  test("streams a layer of 800 MiB up and down again", async () => {
    const seen = watch(fixture.server);
    const reference = `${host}/team/large:1`;
    await load(await makeLargeImage(join(fixture.folder, "large"), "berth.test/large:1"));
    await push("large:1", "team/large:1");
    const digest = await digestOf(fixture.server, "team/large", "1");
    await docker(["image", "rm", reference, "berth.test/large:1"]);
    expect((await docker(["pull", reference])).stdout).toContain(`Digest: ${digest}`);
    await docker(["image", "rm", reference]);
    await seen.from(engine);
  });

  test("cannot pull what was deleted", async () => {
    const reference = `${host}/other/debian:1`;
    const digest = await digestOf(fixture.server, "other/debian", "1");
    // The engine has no command that deletes in a registry; the API takes the credentials that it logged in with.
    const reply = await ask(fixture.server, `/v2/other/debian/manifests/${digest}`, { method: "DELETE" });
    expect(reply.status).toBe(202);
    const seen = watch(fixture.server);
    await docker(["image", "rm", reference]);
    expect(await refused(["pull", reference])).toMatch(/manifest unknown|not found/i);
    await seen.from(engine);
    await docker(["pull", `${host}/team/debian:1`]);
  });

  test.each(programs)("logs in as %s, pushes and pulls where that may alone, and logs out", async (...given) => {
    const [, namespace, make] = given;
    const { name, secret } = await make(fixture, namespace);
    const own = ["--config", join(fixture.folder, namespace)];
    const login = [...own, "login", "--username", name, "--password-stdin", host];
    expect((await docker(login, { input: secret })).stdout).toContain("Login Succeeded");
    const [allowed, elsewhere] = [`${host}/${namespace}/busybox:1`, `${host}/team/${namespace}:1`];
    for (const reference of [allowed, elsewhere]) await docker(["tag", "berth.test/busybox:1", reference]);
    await docker([...own, "push", allowed]);
    expect(await digestOf(fixture.server, `${namespace}/busybox`, "1")).toBeString();
    await docker(["image", "rm", allowed]);
    await docker([...own, "pull", allowed]);
    expect(await refused([...own, "push", elsewhere])).toMatch(refusedWith);
    await docker([...own, "logout", host]);
    expect(await refused([...own, "push", allowed])).toMatch(refusedWith);
  });

  test("tells whoever has pulled as often as they may", async () => {
    await using limited = await startServer({ env: { BERTH_PULL_LIMITS_ANONYMOUS: "1" } });
    const { admin, host: other } = limited;
    await docker(["login", "--username", admin.username, "--password-stdin", other], { input: admin.password });
    await docker(["tag", "berth.test/busybox:1", `${other}/library/busybox:1`]);
    await docker(["push", `${other}/library/busybox:1`]);
    await docker(["logout", other]);
    const manifest = new URL("/v2/library/busybox/manifests/1", limited.url);
    expect((await fetch(manifest)).status).toBe(200);
    await docker(["image", "rm", `${other}/library/busybox:1`]);
    const said = await refused(["pull", `${other}/library/busybox:1`]);
    expect(said).toContain("toomanyrequests: you have reached the limit of 1 pulls in 6 hours");
  });

  test("logs out: the public namespace stays readable, all else is refused", async () => {
    await push("busybox:1", "library/busybox:1");
    await docker(["logout", host]);
    await docker(["image", "rm", `${host}/library/busybox:1`]);
    const seen = watch(fixture.server);
    await docker(["pull", `${host}/library/busybox:1`]);
    const greeting = await docker(["run", "--rm", "--network", "none", `${host}/library/busybox:1`]);
    expect(greeting.stdout.trim()).toBe(busyboxGreeting);
    expect(await refused(["push", `${host}/library/busybox:1`])).toMatch(/unauthorized|denied/i);
    expect(await refused(["push", `${host}/team/debian:1`])).toMatch(/unauthorized|denied/i);
    expect(await refused(["pull", `${host}/team/debian:1`])).toMatch(/unauthorized|denied|not found/i);
    await seen.from(engine);
  });
});
