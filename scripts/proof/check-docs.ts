import { resolve } from "node:path";
import { startServer } from "../../test/support/server.ts";
import { parseDocument, toolsOf } from "./doc-blocks.ts";
import { findMissingTools } from "./doc-tools.ts";
import { canStartDockerEngine, startDockerEngine } from "./docker-engine.ts";
import { runDocument, type BlockResult } from "./run-docs.ts";

export interface DocsResult {
  readonly blocks: readonly BlockResult[];
  readonly problems: readonly string[];
}

/** Executes the shell blocks of the README and of everything below docs/. */
export async function checkDocs(root: string): Promise<DocsResult> {
  const documents = [];
  for await (const file of new Bun.Glob("{*.md,docs/**/*.md}").scan({ cwd: root }))
    documents.push(parseDocument(file, await Bun.file(resolve(root, file)).text()));
  const tools = documents.flatMap(({ blocks }) => blocks.filter(({ notRun }) => notRun === undefined).flatMap(toolsOf));
  const usesDocker = tools.includes("docker") && (await findMissingTools(["docker"])).size > 0;
  await using engine = usesDocker && canStartDockerEngine() ? await startDockerEngine() : undefined;
  const env = engine === undefined ? {} : { DOCKER_HOST: engine.host };
  const missing = await findMissingTools(tools, env);
  const results: BlockResult[] = [];
  for (const { blocks } of documents)
    results.push(
      ...(await runDocument(blocks, {
        root,
        env,
        startServer,
        missingTool: (tool) => missing.get(tool),
        limitSeconds: 180,
      })),
    );
  return {
    blocks: results,
    problems: [
      ...documents.flatMap(({ problems }) => problems),
      ...results
        .filter(({ outcome }) => outcome === "failed")
        .map(({ block, detail }) => `${block.file}:${String(block.line)}: the block failed:\n${detail}`),
    ],
  };
}

/** What stands in the run's summary. */
export function describeDocs({ blocks }: DocsResult): readonly string[] {
  const count = (outcome: BlockResult["outcome"]): number => blocks.filter((one) => one.outcome === outcome).length;
  const marked = Map.groupBy(
    blocks.filter(({ outcome }) => outcome === "marked"),
    ({ detail }) => detail,
  );
  return [
    `documents: ${String(count("passed"))} blocks passed, ${String(count("failed"))} failed, ${String(count("missing"))} could not run here, ${String(count("marked"))} are marked not-run`,
    ...[...marked].map(([reason, of]) => `  marked not-run (${String(of.length)}): ${reason}`),
  ];
}
