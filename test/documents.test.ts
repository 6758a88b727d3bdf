import { expect, it } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { findDocuments } from "../scripts/proof/check-docs.ts";

const root = resolve(import.meta.dir, "..");
const files = await findDocuments(root);

const contentOf = (file: string): Promise<string> => Bun.file(join(root, file)).text();

/** As GitHub names the anchor of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

const anchorsOf = (markdown: string): readonly string[] =>
  [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));

/** Links of a document that lead nowhere; those to other sites are not followed. */
async function deadLinks(file: string, markdown: string): Promise<readonly string[]> {
  const dead: string[] = [];
  for (const [, target = ""] of markdown.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = "", anchor] = target.split("#", 2);
    const linked = path === "" ? file : join(dirname(file), path);
    const leads =
      existsSync(join(root, linked)) &&
      (anchor === undefined || anchorsOf(path === "" ? markdown : await contentOf(linked)).includes(anchor));
    if (!leads) dead.push(`${file}: ${target}`);
  }
  return dead;
}

it("finds the documents at the top and below docs", () => {
  expect(files).toContain("README.md");
  expect(files).toContain("docs/users/clients.md");
});

it("holds no link that leads nowhere", async () => {
  for (const file of files) expect(await deadLinks(file, await contentOf(file))).toEqual([]);
  const planted = "# A b\n[1](README.md) [2](#a-b) [3](gone.md) [4](#c) [5](SECURITY.md#nowhere)";
  expect(await deadLinks("CONTRIBUTING.md", planted)).toEqual([
    "CONTRIBUTING.md: gone.md",
    "CONTRIBUTING.md: #c",
    "CONTRIBUTING.md: SECURITY.md#nowhere",
  ]);
});

it("lists every page below docs in its index", async () => {
  const index = await contentOf("docs/README.md");
  const pages = files.filter((file) => file.startsWith("docs/") && file !== "docs/README.md");
  expect(pages.filter((file) => !index.includes(`](${file.slice("docs/".length)})`))).toEqual([]);
});

const isPath = (name: string): boolean => ["", "src"].some((place) => existsSync(join(root, place, name)));

/** Symbols and paths that a document names and that do not occur in the code. */
function unknownNames(markdown: string, words: ReadonlySet<string>): readonly string[] {
  const names = [...markdown.matchAll(/`([A-Za-z_][A-Za-z0-9_./-]*)(?:\(\))?`/g)].map(([, name = ""]) => name);
  return names.filter((name) => !isPath(name) && !name.split(".").every((word) => words.has(word)));
}

it("names in ARCHITECTURE.md only what there is, in under 150 lines", async () => {
  const sources = await Array.fromAsync(new Bun.Glob("{src,scripts,test}/**/*.ts").scan({ cwd: root }));
  const others = sources.filter((file) => !file.endsWith("documents.test.ts"));
  const code = (await Promise.all(others.map(contentOf))).join("\n");
  const words = new Set(code.match(/[A-Za-z_]\w*/g));
  const architecture = await contentOf("ARCHITECTURE.md");
  expect(unknownNames(architecture, words)).toEqual([]);
  expect(architecture.split("\n").length).toBeLessThan(150);
  expect(unknownNames("`pushManifest` `src/registry` `delete.enabled` `pushMani` `delete.enabl`", words)).toEqual([
    "pushMani",
    "delete.enabl",
  ]);
});
