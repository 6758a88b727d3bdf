import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ContainersTool, containersTool } from "./containers-tools.ts";
import { type Fixture, openFixture } from "./fixture.ts";
import { blobPath, type Layout } from "./images/layout.ts";
import { busyboxGreeting, makeBusyboxImage, makeDebianImage } from "./images/make.ts";
import { makeLargeImage, makeMultiPlatformIndex } from "./images/make.ts";
import { count, digestOf, expectMounts, watch } from "./request-log.ts";
import { programs, refusedWith } from "./robot.ts";
import { run } from "./run.ts";
import { signInMachine } from "./signed-in-machine.ts";
import { describeClient } from "./tools.ts";

const client = /^skopeo\//;
const plainSource = "--src-tls-verify=false";
const plainTarget = "--dest-tls-verify=false";

describeClient("skopeo", ["skopeo", "umoci", "dpkg", "/bin/busybox"], () => {
  let fixture: Fixture;
  let host: string;
  let skopeo: ContainersTool;
  let busybox: Layout;
  let debian: Layout;

  beforeAll(async () => {
    fixture = await openFixture("skopeo");
    host = fixture.server.host;
    skopeo = containersTool("skopeo", fixture, []);
    busybox = await makeBusyboxImage(join(fixture.folder, "busybox"), "berth.test/busybox:1");
    debian = await makeDebianImage(join(fixture.folder, "debian"), "berth.test/debian:1");
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });

  const push = (layout: Layout, reference: string): Promise<unknown> =>
    skopeo.run([
      "copy",
      "--all",
      "--preserve-digests",
      plainTarget,
      `oci:${layout.folder}:${layout.tag}`,
      `docker://${host}/${reference}`,
    ]);

  async function pull(reference: string, name: string): Promise<string> {
    const folder = join(fixture.folder, name);
    const source = `docker://${host}/${reference}`;
    await skopeo.run(["copy", "--all", "--preserve-digests", plainSource, source, `oci:${folder}:pulled`]);
    return folder;
  }

  test("logs in, and not with a wrong password", async () => {
    const seen = watch(fixture.server);
    const login = ["login", "--tls-verify=false", "--username", "admin", "--password-stdin", host];
    expect(await skopeo.refused(login, { input: "wrong" })).toMatch(/invalid username\/password|unauthorized/i);
    const { stdout } = await skopeo.run(login, { input: fixture.server.admin.password });
    expect(stdout).toContain("Login Succeeded!");
    await seen.from(client);
  });

  test("pushes and pulls an image, which unpacks", async () => {
    const seen = watch(fixture.server);
    await push(busybox, "team/busybox:1");
    expect(await digestOf(fixture.server, "team/busybox", "1")).toBe(busybox.image.digest);
    const folder = await pull("team/busybox:1", "pulled");
    const requests = await seen.from(client);
    expect(count(requests, { method: "PATCH", path: /^\/v2\/team\/busybox\/blobs\/uploads\//, status: 202 })).toBe(3);
    expect(count(requests, { method: "GET", path: /^\/v2\/team\/busybox\/blobs\//, status: 200 })).toBe(3);
    for (const { digest } of [busybox.image, busybox.config, ...busybox.layers]) {
      expect(await readFile(blobPath(folder, digest))).toEqual(await readFile(blobPath(busybox.folder, digest)));
    }
    const bundle = join(fixture.folder, "bundle");
    await run(["umoci", "unpack", "--image", `${folder}:pulled`, bundle]);
    expect(await readFile(join(bundle, "rootfs/greeting.txt"), "utf8")).toBe(`${busyboxGreeting}\n`);
  });

  test("mounts layers from the repository that it copies from", async () => {
    await push(debian, "team/debian:1");
    const seen = watch(fixture.server);
    const source = `docker://${host}/team/debian:1`;
    await skopeo.run(["copy", plainSource, plainTarget, source, `docker://${host}/other/debian:1`]);
    expectMounts(await seen.from(client), { repository: "other/debian", layers: debian.layers.length, uploaded: 1 });
    expect(await digestOf(fixture.server, "other/debian", "1")).toBe(debian.image.digest);
  });

  test("copies an index of two platforms whole", async () => {
    const seen = watch(fixture.server);
    const layout = await makeMultiPlatformIndex(join(fixture.folder, "multi"), "berth.test/multi:1");
    await push(layout, "team/multi:1");
    expect(await digestOf(fixture.server, "team/multi", "1")).toBe(layout.image.digest);
    const raw = await skopeo.run(["inspect", "--raw", "--tls-verify=false", `docker://${host}/team/multi:1`]);
    expect(raw.stdout).toBe(await readFile(blobPath(layout.folder, layout.image.digest), "utf8"));
    const folder = await pull("team/multi:1", "pulled-index");
    expect(await readFile(blobPath(folder, layout.image.digest), "utf8")).toBe(raw.stdout);
    await seen.from(client);
  });

  test("carries a layer of 800 MiB up and down again", async () => {
    const seen = watch(fixture.server);
    const layout = await makeLargeImage(join(fixture.folder, "large"), "berth.test/large:1");
    await push(layout, "team/large:1");
    await rm(layout.folder, { recursive: true });
    const folder = await pull("team/large:1", "pulled-large");
    const large = layout.layers[1]?.digest ?? "";
    expect((await run(["sha256sum", blobPath(folder, large)])).stdout).toStartWith(large.slice("sha256:".length));
    await rm(folder, { recursive: true });
    await seen.from(client);
  });

  test("lists, copies and deletes tags", async () => {
    const seen = watch(fixture.server);
    const images = join(fixture.folder, "sync");
    await mkdir(images);
    await push(busybox, "team/many:b");
    await push(debian, "team/many:a");
    const list = ["list-tags", "--tls-verify=false", `docker://${host}/team/many`];
    expect(JSON.parse((await skopeo.run(list)).stdout)).toMatchObject({ Tags: ["a", "b"] });
    const sync = ["sync", plainSource, "--src", "docker", "--dest", "dir", `${host}/team/many`, images];
    await skopeo.run(sync);
    await skopeo.run(["delete", "--tls-verify=false", `docker://${host}/team/many:a`]);
    expect(JSON.parse((await skopeo.run(list)).stdout)).toMatchObject({ Tags: ["b"] });
    const inspect = ["inspect", "--tls-verify=false", `docker://${host}/team/many:a`];
    expect(await skopeo.refused(inspect)).toMatch(/manifest unknown/i);
    const requests = await seen.from(client);
    expect(count(requests, { method: "DELETE", path: /^\/v2\/team\/many\/manifests\/sha256:/, status: 202 })).toBe(1);
  });

  test.each(programs)("logs in as %s, pushes and pulls where that may alone, and logs out", async (...given) => {
    const [, namespace, make] = given;
    const { name, secret } = await make(fixture, namespace);
    const seen = watch(fixture.server);
    const file = ["--authfile", join(fixture.folder, `${namespace}.json`)];
    const login = ["login", "--tls-verify=false", ...file, "--username", name, "--password-stdin", host];
    expect((await skopeo.run(login, { input: secret })).stdout).toContain("Login Succeeded!");
    const copy = ["copy", ...file, plainTarget, `oci:${busybox.folder}:${busybox.tag}`];
    const allowed = `docker://${host}/${namespace}/busybox:1`;
    await skopeo.run([...copy, allowed]);
    expect(await digestOf(fixture.server, `${namespace}/busybox`, "1")).toBe(busybox.image.digest);
    await skopeo.run(["copy", ...file, plainSource, allowed, `oci:${join(fixture.folder, namespace)}:pulled`]);
    expect(await skopeo.refused([...copy, `docker://${host}/team/${namespace}:1`])).toMatch(refusedWith);
    await skopeo.run(["logout", ...file, host]);
    expect(await skopeo.refused([...copy, allowed])).toMatch(refusedWith);
    await seen.from(client);
  });

  test("pushes without a pasted secret, on a machine that a browser has let in, until it is logged out", async () => {
    const env = {
      ...(await signInMachine(fixture)),
      REGISTRY_AUTH_FILE: join(fixture.folder, "helped.json"),
      TMPDIR: fixture.folder,
    };
    await writeFile(env.REGISTRY_AUTH_FILE, JSON.stringify({ credHelpers: { [host]: "berth" } }));
    const target = `docker://${host}/helped/busybox:1`;
    const copy = ["copy", plainTarget, `oci:${busybox.folder}:${busybox.tag}`, target];
    await skopeo.run(copy, { env });
    expect(await skopeo.run(["inspect", "--tls-verify=false", target], { env })).toMatchObject({ exitCode: 0 });
    await run(["docker-credential-berth", "erase"], { env, input: host });
    expect(await skopeo.refused(copy, { env })).toMatch(/unauthorized|authentication required|denied/i);
  });

  test("logs out: the public namespace stays readable, all else is refused", async () => {
    await push(busybox, "library/busybox:1");
    await skopeo.run(["logout", host]);
    const seen = watch(fixture.server);
    await pull("library/busybox:1", "public");
    const refused = /unauthorized|denied|authentication required/i;
    const layout = `oci:${busybox.folder}:${busybox.tag}`;
    expect(await skopeo.refused(["copy", plainTarget, layout, `docker://${host}/library/new:1`])).toMatch(refused);
    expect(await skopeo.refused(["copy", plainTarget, layout, `docker://${host}/team/new:1`])).toMatch(refused);
    const inspect = ["inspect", "--tls-verify=false", `docker://${host}/team/busybox:1`];
    expect(await skopeo.refused(inspect)).toMatch(refused);
    await seen.from(client);
  });
});
