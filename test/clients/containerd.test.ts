import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Fixture, openFixture, startDaemon } from "./fixture.ts";
import { archiveLayout, blobPath, type Layout } from "./images/layout.ts";
import { busyboxGreeting, debianOutput, makeBusyboxImage, makeDebianImage } from "./images/make.ts";
import { makeLargeImage, makeMultiPlatformIndex } from "./images/make.ts";
import { ask, count, digestOf, expectMounts, watch } from "./request-log.ts";
import { attempt, type Outcome, run, runRefused } from "./run.ts";
import { programs, refusedWith } from "./robot.ts";
import { describeClient } from "./tools.ts";

const client = /^containerd\//;

describeClient("containerd", ["root", "containerd", "ctr", "runc", "dpkg", "/bin/busybox"], () => {
  let fixture: Fixture;
  let host: string;
  let ctr: (...args: readonly string[]) => Promise<Outcome>;
  let refused: (...args: readonly string[]) => Promise<string>;
  let account: readonly string[];
  let debian: Layout;

  beforeAll(async () => {
    fixture = await openFixture("containerd");
    const { folder, server } = fixture;
    host = server.host;
    const socket = join(folder, "containerd.sock");
    // ctr keeps no credentials: what other clients do by logging in, it does with every command.
    account = ["--plain-http", "--user", `${server.admin.username}:${server.admin.password}`];
    ctr = (...args) => run(["ctr", "--address", socket, ...args]);
    refused = (...args) => runRefused(["ctr", "--address", socket, ...args]);
    const config = join(folder, "config.toml");
    await writeFile(
      config,
      [
        "version = 2",
        `root = "${folder}/root"`,
        `state = "${folder}/state"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        `[grpc]\naddress = "${socket}"`,
        `[ttrpc]\naddress = "${socket}.ttrpc"\n`,
      ].join("\n"),
    );
    const ready = async () => (await attempt(["ctr", "--address", socket, "version"])).exitCode === 0;
    await startDaemon(fixture, ["containerd", "--config", config], ready);
    await load(await makeBusyboxImage(join(folder, "busybox"), "berth.test/busybox:1"));
    debian = await makeDebianImage(join(folder, "debian"), "berth.test/debian:1");
    await load(debian);
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });

  async function load(layout: Layout): Promise<void> {
    const archive = await archiveLayout(layout);
    await ctr("images", "import", "--all-platforms", "--no-unpack", archive);
    await rm(archive);
  }

  const push = (image: string, reference: string): Promise<unknown> =>
    ctr("images", "push", ...account, `${host}/${reference}`, `berth.test/${image}`);

  async function pull(reference: string, flags = account): Promise<void> {
    await ctr("images", "pull", ...flags, "--snapshotter", "native", `${host}/${reference}`);
  }

  async function start(reference: string): Promise<string> {
    const name = `test-${crypto.randomUUID()}`;
    return (await ctr("run", "--rm", "--snapshotter", "native", `${host}/${reference}`, name)).stdout.trim();
  }

  /** Removes images and, with nothing naming them any more, their content. */
  async function forget(...images: readonly string[]): Promise<void> {
    await ctr("images", "rm", "--sync", ...images);
  }

  test("is refused with a wrong password", async () => {
    const seen = watch(fixture.server);
    const said = await refused(
      "images",
      "push",
      "--plain-http",
      "--user",
      "admin:wrong",
      `${host}/team/no:1`,
      "berth.test/busybox:1",
    );
    expect(said).toMatch(/unauthorized|401|authorization failed/i);
    await seen.from(client);
  });

  test("pushes, pulls and runs an image", async () => {
    const seen = watch(fixture.server);
    await push("debian:1", "team/debian:1");
    expect(await digestOf(fixture.server, "team/debian", "1")).toBe(debian.image.digest);
    await forget("berth.test/debian:1");
    await pull("team/debian:1");
    expect(await start("team/debian:1")).toBe(debianOutput);
    const requests = await seen.from(client);
    // A blob goes up in one PUT, and comes down in one GET.
    expect(count(requests, { method: "PUT", path: /^\/v2\/team\/debian\/blobs\/uploads\//, status: 201 })).toBe(6);
    expect(count(requests, { method: "PATCH", path: /./ })).toBe(0);
    expect(count(requests, { method: "GET", path: /^\/v2\/team\/debian\/blobs\//, status: 200 })).toBe(6);
  });

  test("mounts the blobs of an image that it pushes to a second repository", async () => {
    const seen = watch(fixture.server);
    await ctr("images", "push", ...account, `${host}/other/debian:1`, `${host}/team/debian:1`);
    // containerd knows where it pulled the configuration from as well, and mounts it like a layer.
    expectMounts(await seen.from(client), { repository: "other/debian", layers: 6, uploaded: 0 });
    expect(await digestOf(fixture.server, "other/debian", "1")).toBe(debian.image.digest);
  });

  test("pushes and pulls an index of two platforms", async () => {
    const seen = watch(fixture.server);
    const layout = await makeMultiPlatformIndex(join(fixture.folder, "multi"), "berth.test/multi:1");
    await load(layout);
    await push("multi:1", "team/multi:1");
    expect(await digestOf(fixture.server, "team/multi", "1")).toBe(layout.image.digest);
    await forget("berth.test/multi:1");
    await ctr("images", "pull", ...account, "--all-platforms", "--snapshotter", "native", `${host}/team/multi:1`);
    expect(await start("team/multi:1")).toBe(busyboxGreeting);
    const exported = join(fixture.folder, "exported");
    await mkdir(exported);
    await ctr("images", "export", "--all-platforms", `${exported}.tar`, `${host}/team/multi:1`);
    await run(["tar", "--extract", "--file", `${exported}.tar`, "--directory", exported]);
    expect(await readdir(join(exported, "blobs/sha256"))).toHaveLength(8);
    expect(await readFile(blobPath(exported, layout.image.digest))).toEqual(
      await readFile(blobPath(layout.folder, layout.image.digest)),
    );
    await seen.from(client);
  });

  test("carries a layer of 800 MiB up and down again", async () => {
    const seen = watch(fixture.server);
    const layout = await makeLargeImage(join(fixture.folder, "large"), "berth.test/large:1");
    await load(layout);
    await rm(layout.folder, { recursive: true });
    await push("large:1", "team/large:1");
    await forget("berth.test/large:1");
    await ctr("content", "fetch", ...account, `${host}/team/large:1`);
    const { stdout } = await ctr("content", "ls", "--quiet");
    expect(stdout).toContain(layout.layers[1]?.digest ?? "no layer");
    await forget(`${host}/team/large:1`);
    await seen.from(client);
  });

  test("cannot pull what was deleted", async () => {
    // ctr has no command that deletes in a registry; the API takes the credentials that it uses.
    const path = `/v2/other/debian/manifests/${debian.image.digest}`;
    expect((await ask(fixture.server, path, { method: "DELETE" })).status).toBe(202);
    const seen = watch(fixture.server);
    expect(await refused("images", "pull", ...account, `${host}/other/debian:1`)).toMatch(/not found/i);
    await seen.from(client);
  });

  test.each(programs)("as %s pushes and pulls where that may alone", async (...given) => {
    const [, namespace, make] = given;
    const { name, secret } = await make(fixture, namespace);
    const own = ["--plain-http", "--user", `${name}:${secret}`];
    const image = "berth.test/busybox:1";
    await ctr("images", "push", ...own, `${host}/${namespace}/busybox:1`, image);
    expect(await digestOf(fixture.server, `${namespace}/busybox`, "1")).toBeString();
    await pull(`${namespace}/busybox:1`, own);
    expect(await refused("images", "push", ...own, `${host}/team/${namespace}:1`, image)).toMatch(refusedWith);
    const without = ["--plain-http", `${host}/${namespace}/busybox:1`, image];
    expect(await refused("images", "push", ...without)).toMatch(refusedWith);
  });

  test("without credentials the public namespace is readable, all else is refused", async () => {
    await push("busybox:1", "library/busybox:1");
    const anonymous = ["--plain-http"];
    const seen = watch(fixture.server);
    await pull("library/busybox:1", anonymous);
    expect(await start("library/busybox:1")).toBe(busyboxGreeting);
    const denied = /unauthorized|denied|401|403|authorization failed/i;
    const image = "berth.test/busybox:1";
    expect(await refused("images", "push", ...anonymous, `${host}/library/new:1`, image)).toMatch(denied);
    expect(await refused("images", "push", ...anonymous, `${host}/team/new:1`, image)).toMatch(denied);
    expect(await refused("images", "pull", ...anonymous, `${host}/team/debian:1`)).toMatch(denied);
    await seen.from(client);
  });
});
