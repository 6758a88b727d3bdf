import { afterEach, beforeEach, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinFolderLock, lockDataFolder } from "./lock-data-folder.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Another process that takes the lock, says how that went, and holds it until it is told to stop. */
async function startOther() {
  const script = `
    const { lockDataFolder } = await import(${JSON.stringify(join(import.meta.dir, "lock-data-folder.ts"))});
    const lock = await lockDataFolder(${JSON.stringify(folder)});
    console.log(lock === undefined ? "refused" : "locked");
    for await (const line of console) if (line === "release") lock?.release();
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  return { said: new TextDecoder().decode(value).trim(), child };
}

it("is one process's, and nobody else's while that lives, however it ends", async () => {
  const first = await startOther();
  const second = await startOther();
  expect([first.said, second.said, await lockDataFolder(folder)]).toEqual(["locked", "refused", undefined]);
  second.child.kill();
  await second.child.exited;
  expect(await lockDataFolder(folder)).toBeUndefined();
  first.child.kill("SIGKILL");
  await first.child.exited;
  const own = await lockDataFolder(folder);
  expect(own).toBeDefined();
  const third = await startOther();
  expect(third.said).toBe("refused");
  third.child.kill();
  await third.child.exited;
  own?.release();
  const fourth = await startOther();
  expect(fourth.said).toBe("locked");
  fourth.child.kill();
  await fourth.child.exited;
}, 30_000);

it("taken for workers, is a server's until the last of them has ended", async () => {
  const server = await lockDataFolder(folder, true);
  const worker = joinFolderLock(folder);
  expect([server, worker].map((lock) => lock !== undefined)).toEqual([true, true]);
  expect(await lockDataFolder(folder)).toBeUndefined();
  expect(await lockDataFolder(folder, true)).toBeUndefined();
  server?.release();
  // Workers end soon when their server has: who starts then waits for that.
  let isTaken = false;
  const next = lockDataFolder(folder).then((lock) => {
    isTaken = true;
    return lock;
  });
  await Bun.sleep(200);
  expect(isTaken).toBe(false);
  worker?.release();
  const lock = await next;
  expect(lock).toBeDefined();
  // A worker that comes late belongs to no server any more.
  expect(joinFolderLock(folder)).toBeUndefined();
  lock?.release();
}, 30_000);

it("of many that start at once is one's", async () => {
  const others = await Promise.all(Array.from({ length: 5 }, startOther));
  expect(others.map(({ said }) => said).toSorted()).toEqual(["locked", "refused", "refused", "refused", "refused"]);
  for (const { child } of others) child.kill();
  await Promise.all(others.map(({ child }) => child.exited));
}, 30_000);

it("refuses a second time in the same process too, and can be taken again after its release", async () => {
  const lock = await lockDataFolder(folder);
  expect(await lockDataFolder(folder)).toBeUndefined();
  lock?.release();
  const again = await lockDataFolder(folder);
  expect(again).toBeDefined();
  again?.release();
});

it("says what is wrong where there is no folder", async () => {
  await expect(lockDataFolder(join(folder, "absent"))).rejects.toThrow();
});
