import { expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDocument, toolsOf } from "./doc-blocks.ts";
import { runDocument } from "./run-docs.ts";

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "berth-docs-data-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const fence = "```";

async function runMarkdown(lines: readonly string[], missing: readonly string[] = []) {
  await using folder = await temporaryFolder();
  const data = folder.path;
  const { blocks, problems } = parseDocument("guide.md", lines.join("\n"));
  const results = await runDocument(blocks, {
    root: data,
    startServer: () =>
      Promise.resolve({
        host: "127.0.0.1:41234",
        data,
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    missingTool: (tool) => (missing.includes(tool) ? `${tool} is not installed` : undefined),
    limitSeconds: 2,
  });
  return { problems, results: results.map(({ block, outcome, detail }) => [block.line, outcome, detail.trim()]) };
}

it("runs the blocks of a document in one shell, against its own server", async () => {
  const { problems, results } = await runMarkdown([
    `${fence}sh`,
    "url=http://localhost:5000; test -d data",
    fence,
    `${fence}yaml`,
    "not: a command",
    fence,
    `  ${fence}console`,
    '  $ test "$url" = \\',
    "    http://127.0.0.1:41234",
    "  what it prints",
    `  ${fence}`,
  ]);
  expect(problems).toEqual([]);
  expect(results).toEqual([
    [1, "passed", ""],
    [7, "passed", ""],
  ]);
});

it("sees a block that fails, in its middle too, and what it kept from running", async () => {
  const failing = [`${fence}sh`, "echo before; false; echo after", fence, `${fence}bash`, "true", fence];
  expect((await runMarkdown(failing)).results).toEqual([
    [1, "failed", "before"],
    [4, "failed", "a block before it ended the shell"],
  ]);
});

it("sees a block that leaves the shell with success", async () => {
  expect((await runMarkdown([`${fence}sh`, "exit 0", fence])).results).toEqual([[1, "failed", ""]]);
});

it("ends a block that does not end", async () => {
  expect((await runMarkdown([`${fence}sh`, "sleep 60", fence])).results).toEqual([
    [1, "failed", "(ended: the document took too long)"],
  ]);
});

it("leaves out what is marked, and what needs a program that is missing", async () => {
  const lines = [
    `${fence}sh not-run: needs a domain of yours`,
    "false",
    fence,
    `${fence}sh`,
    "true | skopeo inspect x",
    fence,
    `${fence}sh`,
    "true",
    fence,
  ];
  expect((await runMarkdown(lines, ["skopeo"])).results).toEqual([
    [1, "marked", "needs a domain of yours"],
    [4, "missing", "skopeo is not installed"],
    [7, "missing", "it comes after a block where skopeo is not installed"],
  ]);
});

it("refuses blocks that hide from it", () => {
  const lines = [fence, "true", fence, `${fence}sh no-run: why`, "true", fence];
  const more = [`${fence}sh not-run:`, "true", fence, `${fence}console`, "prints", fence, `${fence}sh`, "true"];
  expect(parseDocument("a.md", [...lines, ...more].join("\n")).problems).toEqual([
    "a.md:1: the block does not name its language",
    'a.md:4: only "not-run: reason" may stand behind the language, not "sh no-run: why"',
    "a.md:7: not-run without a reason",
    "a.md:10: the block holds no command",
    "a.md:13: the block does not end",
  ]);
});

it("knows the programs that a block calls", () => {
  const commands = "sudo docker pull a\nA=1 crane ls b && (helm version) # podman\necho go";
  expect(toolsOf({ file: "a.md", line: 1, commands, notRun: undefined })).toEqual(["docker", "crane", "helm"]);
});
