import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ContainersTool, containersTool, storageIn } from "./containers-tools.ts";
import { type Fixture, openFixture } from "./fixture.ts";
import { archiveLayout, type Layout } from "./images/layout.ts";
import { busyboxGreeting, debianOutput, makeBusyboxImage, makeDebianImage } from "./images/make.ts";
import { hostArchitecture, makeForeignImage, makeLargeImage, otherArchitecture } from "./images/make.ts";
import { ask, count, digestOf, expectMounts, watch } from "./request-log.ts";
import { programs, refusedWith } from "./robot.ts";
import { describeClient } from "./tools.ts";

const client = /^Buildah\//;
const plain = "--tls-verify=false";

describeClient("buildah", ["root", "buildah", "dpkg", "/bin/busybox"], () => {
  let fixture: Fixture;
  let host: string;
  let buildah: ContainersTool;

  beforeAll(async () => {
    fixture = await openFixture("buildah");
    host = fixture.server.host;
    buildah = containersTool("buildah", fixture, storageIn("buildah", fixture));
    await load(await makeBusyboxImage(join(fixture.folder, "busybox"), "berth.test/busybox:1"));
    await load(await makeDebianImage(join(fixture.folder, "debian"), "berth.test/debian:1"));
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });

  async function load(layout: Layout): Promise<void> {
    await buildah.run(["pull", `docker-archive:${await archiveLayout(layout)}`]);
  }

  const push = (image: string, reference: string): Promise<unknown> =>
    buildah.run(["push", plain, image, `docker://${host}/${reference}`]);

  /** What a program prints in a container made from the image. */
  async function execute(image: string, command: readonly string[]): Promise<string> {
    const container = (await buildah.run(["from", plain, image])).stdout.trim();
    const { stdout } = await buildah.run(["run", "--isolation", "chroot", container, "--", ...command]);
    await buildah.run(["rm", container]);
    return stdout.trim();
  }

  test("logs in, and not with a wrong password", async () => {
    const seen = watch(fixture.server);
    const login = ["login", plain, "--username", "admin", "--password-stdin", host];
    expect(await buildah.refused(login, { input: "wrong" })).toMatch(/invalid username\/password|unauthorized/i);
    const { stdout } = await buildah.run(login, { input: fixture.server.admin.password });
    expect(stdout).toContain("Login Succeeded!");
    await seen.from(client);
  });

  test("pushes, pulls and runs an image", async () => {
    const seen = watch(fixture.server);
    await push("berth.test/debian:1", "team/debian:1");
    await buildah.run(["rmi", "berth.test/debian:1"]);
    await buildah.run(["pull", plain, `${host}/team/debian:1`]);
    const script = 'read -r text </linked; [[ ! -e /ghost ]] && echo "bash sees: $text, and no ghost"';
    expect(await execute(`${host}/team/debian:1`, ["/bin/bash", "-c", script])).toBe(debianOutput);
    const requests = await seen.from(client);
    expect(count(requests, { method: "PATCH", path: /^\/v2\/team\/debian\/blobs\/uploads\//, status: 202 })).toBe(6);
  });

  test("mounts the layers of an image that it pushes to a second repository", async () => {
    const seen = watch(fixture.server);
    await push(`${host}/team/debian:1`, "other/debian:1");
    expectMounts(await seen.from(client), { repository: "other/debian", layers: 5, uploaded: 1 });
  });

  test("builds on an image of the registry and pushes the result", async () => {
    await push("berth.test/busybox:1", "team/base:1");
    await buildah.run(["rmi", "berth.test/busybox:1"]);
    const seen = watch(fixture.server);
    const context = join(fixture.folder, "context");
    await mkdir(context);
    const file = [`FROM ${host}/team/base:1`, "COPY note.txt /", "RUN cat /greeting.txt /note.txt >/both.txt", ""];
    await writeFile(join(context, "Dockerfile"), file.join("\n"));
    await writeFile(join(context, "note.txt"), "and from a build\n");
    const built = `${host}/team/built:1`;
    await buildah.run(["bud", plain, "--isolation", "chroot", "--tag", built, context]);
    await push(built, "team/built:1");
    await buildah.run(["rmi", built]);
    expect(await execute(built, ["cat", "/both.txt"])).toBe(`${busyboxGreeting}\nand from a build`);
    // The base is in the registry already: its layers are mounted, only the new one travels.
    expectMounts(await seen.from(client), { repository: "team/built", layers: 2, uploaded: 2 });
  });

  test("makes an index of two platforms and pulls its own", async () => {
    const seen = watch(fixture.server);
    await load(await makeForeignImage(join(fixture.folder, "foreign"), "berth.test/foreign:1"));
    await buildah.run(["manifest", "create", "both", `containers-storage:${host}/team/base:1`]);
    await buildah.run(["manifest", "add", "both", "containers-storage:berth.test/foreign:1"]);
    await buildah.run(["manifest", "push", plain, "--all", "both", `docker://${host}/team/multi:1`]);
    const index = (await (await ask(fixture.server, "/v2/team/multi/manifests/1")).json()) as {
      readonly manifests: readonly { readonly platform: { readonly architecture: string } }[];
    };
    const architectures = index.manifests.map((entry) => entry.platform.architecture);
    expect(architectures.toSorted()).toEqual([hostArchitecture, otherArchitecture].toSorted());
    expect(await execute(`${host}/team/multi:1`, ["cat", "/greeting.txt"])).toBe(busyboxGreeting);
    await seen.from(client);
  });

  test("streams a layer of 800 MiB up, packed as gzip, and down again", async () => {
    const seen = watch(fixture.server);
    await load(await makeLargeImage(join(fixture.folder, "large"), "berth.test/large:1"));
    await push("berth.test/large:1", "team/large:1");
    const manifest = await ask(fixture.server, "/v2/team/large/manifests/1");
    expect(await manifest.text()).toMatch(
      /"application\/vnd\.(oci\.image\.layer\.v1|docker\.image\.rootfs\.diff)\.tar[+.]gzip"/,
    );
    await buildah.run(["rmi", "berth.test/large:1"]);
    await buildah.run(["pull", plain, `${host}/team/large:1`]);
    await seen.from(client);
  });

  test("cannot pull what was deleted", async () => {
    // buildah has no command that deletes in a registry; the API takes the credentials that it logged in with.
    const digest = await digestOf(fixture.server, "other/debian", "1");
    const reply = await ask(fixture.server, `/v2/other/debian/manifests/${digest}`, { method: "DELETE" });
    expect(reply.status).toBe(202);
    const seen = watch(fixture.server);
    expect(await buildah.refused(["pull", plain, `${host}/other/debian:1`])).toMatch(/manifest unknown/i);
    await seen.from(client);
  });

  test.each(programs)("logs in as %s, pushes and pulls where that may alone, and logs out", async (...given) => {
    const [, namespace, make] = given;
    const { name, secret } = await make(fixture, namespace);
    const file = ["--authfile", join(fixture.folder, `${namespace}.json`)];
    const login = ["login", plain, ...file, "--username", name, "--password-stdin", host];
    expect((await buildah.run(login, { input: secret })).stdout).toContain("Login Succeeded!");
    const pushed = ["push", plain, ...file, `${host}/team/base:1`];
    const allowed = `${host}/${namespace}/busybox:1`;
    await buildah.run([...pushed, `docker://${allowed}`]);
    expect(await digestOf(fixture.server, `${namespace}/busybox`, "1")).toBeString();
    await buildah.run(["pull", plain, ...file, "--policy", "always", allowed]);
    expect(await buildah.refused([...pushed, `docker://${host}/team/${namespace}:1`])).toMatch(refusedWith);
    await buildah.run(["logout", ...file, host]);
    expect(await buildah.refused([...pushed, `docker://${allowed}`])).toMatch(refusedWith);
  });

  test("logs out: the public namespace stays readable, all else is refused", async () => {
    await push(`${host}/team/base:1`, "library/busybox:1");
    await buildah.run(["logout", host]);
    const seen = watch(fixture.server);
    await buildah.run(["pull", plain, `${host}/library/busybox:1`]);
    expect(await execute(`${host}/library/busybox:1`, ["cat", "/greeting.txt"])).toBe(busyboxGreeting);
    const refused = /unauthorized|denied|authentication required/i;
    const image = `${host}/team/base:1`;
    expect(await buildah.refused(["push", plain, image, `docker://${host}/library/new:1`])).toMatch(refused);
    expect(await buildah.refused(["push", plain, image, `docker://${host}/team/new:1`])).toMatch(refused);
    expect(await buildah.refused(["pull", plain, "--policy", "always", `${host}/team/debian:1`])).toMatch(refused);
    await seen.from(client);
  });
});
