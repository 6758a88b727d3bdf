import { afterAll, beforeAll, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Fixture, openFixture } from "./fixture.ts";
import type { Layout } from "./images/layout.ts";
import { busyboxGreeting, hostArchitecture, makeBusyboxImage, makeDebianImage } from "./images/make.ts";
import { makeForeignImage, makeLargeImage, otherArchitecture } from "./images/make.ts";
import { provideCrane } from "./provide-crane.ts";
import { count, digestOf, expectMounts, watch } from "./request-log.ts";
import { programs } from "./robot.ts";
import { type Outcome, run, type RunOptions, runRefused } from "./run.ts";
import { describeClient } from "./tools.ts";

const client = /^crane\//;

await provideCrane();

describeClient("crane", ["crane", "dpkg", "/bin/busybox"], () => {
  let fixture: Fixture;
  let host: string;
  let crane: (args: readonly string[], options?: RunOptions) => Promise<Outcome>;
  let refused: (args: readonly string[]) => Promise<string>;
  let busybox: Layout;
  let debian: Layout;

  beforeAll(async () => {
    fixture = await openFixture("crane");
    host = fixture.server.host;
    const env = { DOCKER_CONFIG: join(fixture.folder, "config") };
    crane = (args, options) => run(["crane", ...args], { env, ...options });
    refused = (args) => runRefused(["crane", ...args], { env });
    busybox = await makeBusyboxImage(join(fixture.folder, "busybox"), "berth.test/busybox:1");
    debian = await makeDebianImage(join(fixture.folder, "debian"), "berth.test/debian:1");
  });

  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });

  const push = (layout: Layout, reference: string): Promise<Outcome> =>
    crane(["push", layout.folder, `${host}/${reference}`]);

  test("logs in", async () => {
    // crane writes the credentials down without asking the registry; the pushes below prove them.
    const input = fixture.server.admin.password;
    const { stderr } = await crane(["auth", "login", "--username", "admin", "--password-stdin", host], { input });
    expect(stderr).toContain("logged in via");
    const seen = watch(fixture.server);
    await crane(["catalog", host]);
    await seen.from(client);
  });

  test("pushes, pulls and unpacks an image", async () => {
    const seen = watch(fixture.server);
    const { stdout } = await push(busybox, "team/busybox:1");
    expect(stdout.trim()).toBe(`${host}/team/busybox@${busybox.image.digest}`);
    await crane(["validate", "--remote", `${host}/team/busybox:1`]);
    const archive = join(fixture.folder, "exported.tar");
    await crane(["export", `${host}/team/busybox:1`, archive]);
    const greeting = await run(["tar", "--extract", "--to-stdout", "--file", archive, "greeting.txt"]);
    expect(greeting.stdout.trim()).toBe(busyboxGreeting);
    const pulled = join(fixture.folder, "pulled");
    await crane(["pull", "--format", "oci", `${host}/team/busybox:1`, pulled]);
    const again = await crane(["push", pulled, `${host}/team/again:1`]);
    expect(again.stdout.trim()).toBe(`${host}/team/again@${busybox.image.digest}`);
    const requests = await seen.from(client);
    expect(count(requests, { method: "PATCH", path: /^\/v2\/team\/busybox\/blobs\/uploads\//, status: 202 })).toBe(3);
  });

  test("mounts the blobs of an image that it copies to a second repository", async () => {
    await push(debian, "team/debian:1");
    const seen = watch(fixture.server);
    await crane(["copy", `${host}/team/debian:1`, `${host}/other/debian:1`]);
    // The configuration is mounted like a layer.
    expectMounts(await seen.from(client), { repository: "other/debian", layers: 6, uploaded: 0 });
    expect(await digestOf(fixture.server, "other/debian", "1")).toBe(debian.image.digest);
  });

  test("makes an index of two platforms and finds each", async () => {
    const seen = watch(fixture.server);
    const foreign = await makeForeignImage(join(fixture.folder, "foreign"), "berth.test/foreign:1");
    await push(busybox, "team/multi:here");
    await push(foreign, "team/multi:there");
    const index = `${host}/team/multi:1`;
    const parts = ["--manifest", `${host}/team/multi:here`, "--manifest", `${host}/team/multi:there`];
    await crane(["index", "append", ...parts, "--tag", index]);
    for (const [architecture, layout] of [
      [hostArchitecture, busybox],
      [otherArchitecture, foreign],
    ] as const) {
      const { stdout } = await crane(["digest", "--platform", `linux/${architecture}`, index]);
      expect(stdout.trim()).toBe(layout.image.digest);
    }
    await crane(["validate", "--remote", index]);
    await seen.from(client);
  });

  test("carries a layer of 800 MiB up and down again", async () => {
    const seen = watch(fixture.server);
    const layout = await makeLargeImage(join(fixture.folder, "large"), "berth.test/large:1");
    await push(layout, "team/large:1");
    await rm(layout.folder, { recursive: true });
    const large = layout.layers[1]?.digest ?? "";
    const reference = `${host}/team/large@${large}`;
    const check = `crane blob ${reference} | sha256sum`;
    const env = { DOCKER_CONFIG: join(fixture.folder, "config") };
    expect((await run(["sh", "-c", check], { env })).stdout).toStartWith(large.slice("sha256:".length));
    await seen.from(client);
  });

  test("tags, lists, and deletes", async () => {
    const seen = watch(fixture.server);
    const repository = `${host}/team/busybox`;
    await crane(["tag", `${repository}:1`, "second"]);
    await crane(["tag", `${repository}:1`, "third"]);
    expect((await crane(["ls", repository])).stdout.trim().split("\n")).toEqual(["1", "second", "third"]);
    await crane(["delete", `${repository}:second`]);
    expect((await crane(["ls", repository])).stdout.trim().split("\n")).toEqual(["1", "third"]);
    await crane(["delete", `${repository}@${busybox.image.digest}`]);
    expect((await crane(["ls", repository])).stdout.trim()).toBe("");
    expect(await refused(["digest", `${repository}:1`])).toMatch(/MANIFEST_UNKNOWN|404/);
    await seen.from(client);
  });

  test.each(programs)("logs in as %s, and pushes where that may alone", async (_who, organization, make) => {
    const { name, secret: input } = await make(fixture, organization);
    const env = { DOCKER_CONFIG: join(fixture.folder, organization) };
    await run(["crane", "auth", "login", "--username", name, "--password-stdin", host], { env, input });
    const pushTo = (repository: string) => ["crane", "push", busybox.folder, `${host}/${repository}`];
    await run(pushTo(`${organization}/busybox:1`), { env });
    expect(await digestOf(fixture.server, `${organization}/busybox`, "1")).toBe(busybox.image.digest);
    expect(await runRefused(pushTo("team/robot:1"), { env })).toMatch(/UNAUTHORIZED|DENIED|401|403/i);
    await run(["crane", "auth", "logout", host], { env });
  });

  test("logs out: the public namespace stays readable, all else is refused", async () => {
    await push(busybox, "library/busybox:1");
    await crane(["auth", "logout", host]);
    const seen = watch(fixture.server);
    await crane(["validate", "--remote", `${host}/library/busybox:1`]);
    const denied = /UNAUTHORIZED|DENIED|401|403/i;
    expect(await refused(["push", busybox.folder, `${host}/library/new:1`])).toMatch(denied);
    expect(await refused(["push", busybox.folder, `${host}/team/new:1`])).toMatch(denied);
    expect(await refused(["digest", `${host}/team/debian:1`])).toMatch(denied);
    await seen.from(client);
  });
});
