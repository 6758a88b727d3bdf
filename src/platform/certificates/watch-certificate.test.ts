import { afterEach, beforeEach, expect, it } from "bun:test";
import { mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificate, readCertificate } from "./certificate.ts";
import { type SelfSigned, selfSignedCertificate } from "./self-signed-certificate.ts";
import { watchCertificate } from "./watch-certificate.ts";

const dayMs = 86_400_000;
const make = (): SelfSigned =>
  selfSignedCertificate({ hosts: ["localhost"], from: new Date(), until: new Date(Date.now() + dayMs) });

let folder = "";
let stop: () => void = () => undefined;
let renewed: Certificate[] = [];
let problems: unknown[] = [];
const files = () => ({ certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-watch-"));
  [renewed, problems] = [[], []];
});
afterEach(async () => {
  stop();
  await rm(folder, { recursive: true, force: true });
});

async function begin(): Promise<void> {
  stop = watchCertificate(files(), {
    everyMs: 10,
    current: await readCertificate(files()),
    onRenewed: (certificate) => renewed.push(certificate),
    onProblem: (error) => problems.push(error),
  });
}

async function put(pair: Partial<SelfSigned>): Promise<void> {
  if (pair.certPem !== undefined) await writeFile(files().certFile, pair.certPem);
  if (pair.keyPem !== undefined) await writeFile(files().keyFile, pair.keyPem);
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5000; !isSo() && Date.now() < deadline;) await Bun.sleep(5);
  expect(isSo()).toBe(true);
}

it("tells of a new pair, once", async () => {
  await put(make());
  await begin();
  const second = make();
  await put(second);
  await until(() => renewed.length > 0);
  await Bun.sleep(60);
  expect(renewed.map(({ certPem }) => certPem)).toEqual([second.certPem]);
  expect(problems).toEqual([]);
});

it("waits for the key that belongs to the certificate, and tells once where it does not come", async () => {
  await put(make());
  await begin();
  const second = make();
  await put({ certPem: second.certPem });
  await until(() => problems.length > 0);
  await Bun.sleep(60);
  expect(problems).toHaveLength(1);
  expect(String(problems[0])).toContain("is not the key of");
  expect(renewed).toEqual([]);
  await put({ keyPem: second.keyPem });
  await until(() => renewed.length > 0);
  expect(renewed[0]?.keyPem).toBe(second.keyPem);
});

/** Puts other files in place by their links alone. */
const link = async (name: string): Promise<void> => {
  for (const end of ["crt", "key"]) {
    await symlink(join(folder, `${name}.${end}`), join(folder, `new.${end}`));
    await rename(join(folder, `new.${end}`), join(folder, `tls.${end}`));
  }
};

it("sees a link that is switched, as Kubernetes switches it", async () => {
  const [first, second] = [make(), make()];
  for (const [name, pair] of Object.entries({ first, second })) {
    await writeFile(join(folder, `${name}.crt`), pair.certPem);
    await writeFile(join(folder, `${name}.key`), pair.keyPem);
  }
  await link("first");
  await begin();
  await link("second");
  await until(() => renewed.length > 0);
  expect(renewed[0]?.certPem).toBe(second.certPem);
});

it("takes files that were only touched for what they are", async () => {
  await put(make());
  await begin();
  await utimes(files().certFile, new Date(), new Date(Date.now() + 5000));
  await Bun.sleep(80);
  expect([renewed, problems]).toEqual([[], []]);
});

it("goes on with what it has where the files are gone or damaged", async () => {
  await put(make());
  await begin();
  await rm(files().keyFile);
  await until(() => problems.length === 1);
  await put({ keyPem: "no key" });
  await until(() => problems.length === 2);
  const last = make();
  await put(last);
  await until(() => renewed.length > 0);
  expect(renewed[0]?.certPem).toBe(last.certPem);
});
