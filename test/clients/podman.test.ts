import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type ContainersTool, containersTool, storageIn } from "./containers-tools.ts";
import { type Fixture, openFixture } from "./fixture.ts";
import { archiveLayout, type Layout } from "./images/layout.ts";
import { busyboxGreeting, debianOutput, makeBusyboxImage, makeDebianImage } from "./images/make.ts";
import { hostArchitecture, makeForeignImage, makeLargeImage, otherArchitecture } from "./images/make.ts";
import { ask, count, digestOf, expectMounts, watch } from "./request-log.ts";
import { programs, refusedWith } from "./robot.ts";
import { describeClient } from "./tools.ts";

const client = /^(containers|libpod)\//;
const plain = "--tls-verify=false";

describeClient("podman", ["root", "podman", "runc", "dpkg", "/bin/busybox"], () => {
  let fixture: Fixture;
  let host: string;
  let podman: ContainersTool;

  beforeAll(async () => {
    fixture = await openFixture("podman");
    host = fixture.server.host;
    podman = containersTool("podman", fixture, [
      ...storageIn("podman", fixture),
      "--tmpdir",
      join(fixture.folder, "tmp"),
      "--events-backend",
      "file",
      "--cgroup-manager",
      "cgroupfs",
      "--runtime",
      "runc",
    ]);
    await load(await makeBusyboxImage(join(fixture.folder, "busybox"), "berth.test/busybox:1"));
    await load(await makeDebianImage(join(fixture.folder, "debian"), "berth.test/debian:1"));
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });

  async function load(layout: Layout): Promise<void> {
    await podman.run(["load", "--quiet", "--input", await archiveLayout(layout)]);
  }

  const push = (image: string, reference: string): Promise<unknown> =>
    podman.run(["push", plain, image, `${host}/${reference}`]);

  /** A container may not ask for more files or processes than the machine grants. */
  const start = (image: string) =>
    podman.run(["run", "--rm", "--network", "none", "--ulimit", "nofile=1024", "--ulimit", "nproc=1024", image]);

  test("logs in, and not with a wrong password", async () => {
    const seen = watch(fixture.server);
    const login = ["login", plain, "--username", "admin", "--password-stdin", host];
    expect(await podman.refused(login, { input: "wrong" })).toMatch(/invalid username\/password|unauthorized/i);
    const { stdout } = await podman.run(login, { input: fixture.server.admin.password });
    expect(stdout).toContain("Login Succeeded!");
    await seen.from(client);
  });

  test("pushes, pulls and runs an image", async () => {
    const seen = watch(fixture.server);
    await push("berth.test/debian:1", "team/debian:1");
    await podman.run(["image", "rm", "berth.test/debian:1"]);
    await podman.run(["pull", plain, `${host}/team/debian:1`]);
    expect((await start(`${host}/team/debian:1`)).stdout.trim()).toBe(debianOutput);
    const digest = await podman.run(["image", "inspect", "--format", "{{.Digest}}", `${host}/team/debian:1`]);
    expect(digest.stdout.trim()).toBe((await digestOf(fixture.server, "team/debian", "1")) ?? "");
    const requests = await seen.from(client);
    expect(count(requests, { method: "PATCH", path: /^\/v2\/team\/debian\/blobs\/uploads\//, status: 202 })).toBe(6);
    expect(count(requests, { method: "GET", path: /^\/v2\/team\/debian\/blobs\//, status: 200 })).toBe(6);
  });

  test("mounts the layers of an image that it pushes to a second repository", async () => {
    const seen = watch(fixture.server);
    await push(`${host}/team/debian:1`, "other/debian:1");
    expectMounts(await seen.from(client), { repository: "other/debian", layers: 5, uploaded: 1 });
    await podman.run(["pull", plain, `${host}/other/debian:1`]);
  });

  test("makes an index of two platforms and pulls its own", async () => {
    const seen = watch(fixture.server);
    await load(await makeForeignImage(join(fixture.folder, "foreign"), "berth.test/foreign:1"));
    await podman.run(["manifest", "create", "both", "containers-storage:berth.test/busybox:1"]);
    await podman.run(["manifest", "add", "both", "containers-storage:berth.test/foreign:1"]);
    await podman.run(["manifest", "push", plain, "--all", "both", `docker://${host}/team/multi:1`]);
    const index = (await (await ask(fixture.server, "/v2/team/multi/manifests/1")).json()) as {
      readonly manifests: readonly { readonly platform: { readonly architecture: string } }[];
    };
    const architectures = index.manifests.map((entry) => entry.platform.architecture);
    expect(architectures.toSorted()).toEqual([hostArchitecture, otherArchitecture].toSorted());
    await podman.run(["pull", plain, `${host}/team/multi:1`]);
    expect((await start(`${host}/team/multi:1`)).stdout.trim()).toBe(busyboxGreeting);
    await seen.from(client);
  });

  test("streams a layer of 800 MiB up, packed as zstd, and down again", async () => {
    const seen = watch(fixture.server);
    await load(await makeLargeImage(join(fixture.folder, "large"), "berth.test/large:1"));
    const reference = `${host}/team/large:1`;
    await podman.run([
      "push",
      plain,
      "--format",
      "oci",
      "--compression-format",
      "zstd",
      "berth.test/large:1",
      reference,
    ]);
    const manifest = await ask(fixture.server, "/v2/team/large/manifests/1");
    expect(await manifest.text()).toContain("application/vnd.oci.image.layer.v1.tar+zstd");
    await podman.run(["image", "rm", "berth.test/large:1"]);
    await podman.run(["pull", plain, reference]);
    await podman.run(["image", "rm", reference]);
    await seen.from(client);
  });

  test("lists tags, and cannot pull what was deleted", async () => {
    const seen = watch(fixture.server);
    await push("berth.test/busybox:1", "team/gone:1");
    const { stdout } = await podman.run(["search", plain, "--list-tags", `${host}/team/gone`]);
    expect(stdout).toMatch(/team\/gone +1\n/);
    // podman has no command that deletes in a registry; the API takes the credentials that it logged in with.
    const digest = await digestOf(fixture.server, "team/gone", "1");
    const reply = await ask(fixture.server, `/v2/team/gone/manifests/${digest}`, { method: "DELETE" });
    expect(reply.status).toBe(202);
    expect(await podman.refused(["pull", plain, `${host}/team/gone:1`])).toMatch(/manifest unknown/i);
    await seen.from(client);
  });

  test.each(programs)("logs in as %s, pushes and pulls where that may alone, and logs out", async (...given) => {
    const [, namespace, make] = given;
    const { name, secret } = await make(fixture, namespace);
    const file = ["--authfile", join(fixture.folder, `${namespace}.json`)];
    const login = ["login", plain, ...file, "--username", name, "--password-stdin", host];
    expect((await podman.run(login, { input: secret })).stdout).toContain("Login Succeeded!");
    const pushed = ["push", plain, ...file, "berth.test/busybox:1"];
    const allowed = `${host}/${namespace}/busybox:1`;
    await podman.run([...pushed, allowed]);
    expect(await digestOf(fixture.server, `${namespace}/busybox`, "1")).toBeString();
    await podman.run(["pull", plain, ...file, allowed]);
    expect(await podman.refused([...pushed, `${host}/team/${namespace}:1`])).toMatch(refusedWith);
    await podman.run(["logout", ...file, host]);
    expect(await podman.refused([...pushed, allowed])).toMatch(refusedWith);
  });

  test("logs out: the public namespace stays readable, all else is refused", async () => {
    await push("berth.test/busybox:1", "library/busybox:1");
    await podman.run(["logout", host]);
    const seen = watch(fixture.server);
    await podman.run(["pull", plain, `${host}/library/busybox:1`]);
    expect((await start(`${host}/library/busybox:1`)).stdout.trim()).toBe(busyboxGreeting);
    const refused = /unauthorized|denied|authentication required/i;
    const image = "berth.test/busybox:1";
    expect(await podman.refused(["push", plain, image, `${host}/library/new:1`])).toMatch(refused);
    expect(await podman.refused(["push", plain, image, `${host}/team/new:1`])).toMatch(refused);
    expect(await podman.refused(["pull", plain, `${host}/team/debian:1`])).toMatch(refused);
    await seen.from(client);
  });
});
