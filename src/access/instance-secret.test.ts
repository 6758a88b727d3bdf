import { describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../platform/config/load-config.ts";
import { deriveKey, loadInstanceSecret, parseSecret } from "./instance-secret.ts";

const good = "q8Zr1mC5vX2kB7nH4jL9pT6wY3dF0sGa";

describe("parseSecret", () => {
  test.each([
    ["", "blank"],
    [" ", "blank"],
    ["\n\t ", "blank"],
    ["changeme", "shorter than 32 bytes"],
    [good.slice(1), "shorter than 32 bytes"],
    [`${good.slice(2)}  `, "shorter than 32 bytes"],
    ["a".repeat(32), "repeats itself"],
    ["changeme".repeat(4), "repeats itself"],
  ])("refuses %p with its reason", (text, reason) => {
    const parsed = parseSecret(text);
    expect(parsed.kind).toBe("refused");
    expect(parsed.kind === "refused" ? parsed.reason : "").toContain(reason);
    expect(parsed.kind === "refused" ? parsed.reason : "").toStartWith("secret: ");
  });

  test("takes 32 bytes and more, without the line end of a file", () => {
    expect(parseSecret(good).kind).toBe("secret");
    const [plain, line] = [parseSecret(good), parseSecret(`${good}\n`)];
    if (plain.kind === "refused" || line.kind === "refused") throw new Error("refused");
    expect(line.secret.equals(plain.secret)).toBe(true);
    expect(JSON.stringify(plain)).not.toContain(good);
  });
});

const inFolder = async (work: (dataFolder: string) => Promise<void>): Promise<void> => {
  const dataFolder = await mkdtemp(join(tmpdir(), "berth-secret-"));
  try {
    await work(dataFolder);
  } finally {
    await rm(dataFolder, { recursive: true, force: true });
  }
};

describe("loadInstanceSecret", () => {
  test("makes one at the first start and keeps it, for its owner alone", () =>
    inFolder(async (dataFolder) => {
      const first = await loadInstanceSecret({ configured: undefined, dataFolder });
      expect(await readdir(dataFolder)).toEqual(["secret"]);
      expect((await stat(join(dataFolder, "secret"))).mode & 0o777).toBe(0o600);
      const again = await loadInstanceSecret({ configured: undefined, dataFolder });
      expect(again.equals(first)).toBe(true);
    }));

  test("two that start at once agree", () =>
    inFolder(async (dataFolder) => {
      const secrets = await Promise.all(
        Array.from({ length: 8 }, () => loadInstanceSecret({ configured: undefined, dataFolder })),
      );
      expect(new Set(secrets.map((secret) => secret.export().toString("hex"))).size).toBe(1);
    }));

  test("a configured one wins and leaves no file; a bad one stops the start", () =>
    inFolder(async (dataFolder) => {
      const secret = await loadInstanceSecret({ configured: good, dataFolder });
      expect(secret.export().toString()).toBe(good);
      expect(await readdir(dataFolder)).toEqual([]);
      for (const configured of ["", " ", "changeme"]) {
        const failure = await loadInstanceSecret({ configured, dataFolder }).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(ConfigError);
        expect(String(failure)).toContain("secret: it is");
      }
      await writeFile(join(dataFolder, "secret"), "short");
      const failure = await loadInstanceSecret({ configured: undefined, dataFolder }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ConfigError);
      expect(String(failure)).toContain(join(dataFolder, "secret"));
      expect(await readFile(join(dataFolder, "secret"), "utf8")).toBe("short");
    }));
});

test("each purpose has a key of its own", () => {
  const parsed = parseSecret(good);
  if (parsed.kind === "refused") throw new Error(parsed.reason);
  const [one, two] = [deriveKey(parsed.secret, "one"), deriveKey(parsed.secret, "two")];
  expect(one.symmetricKeySize).toBe(32);
  expect(one.equals(two)).toBe(false);
  expect(one.equals(deriveKey(parsed.secret, "one"))).toBe(true);
});
