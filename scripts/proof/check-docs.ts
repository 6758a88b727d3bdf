import { resolve } from "node:path";
import { startServer } from "../../test/support/server.ts";
import { provideCrane } from "../../test/clients/provide-crane.ts";
import { makeContainersStorage } from "./containers-storage.ts";
import { parseDocument, toolsOf } from "./doc-blocks.ts";
import { findMissingTools } from "./doc-tools.ts";
import { canStartDockerEngine, startDockerEngine } from "./docker-engine.ts";
import { runDocument, type BlockResult } from "./run-docs.ts";

export interface DocsResult {
  readonly blocks: readonly BlockResult[];
  readonly problems: readonly string[];
}

/** Executes the shell blocks of the documents at the top of the checkout and below docs/. */
export async function checkDocs(root: string): Promise<DocsResult> {
  const documents = [];
  for (const file of await findDocuments(root))
    documents.push(parseDocument(file, await Bun.file(resolve(root, file)).text()));
  const tools = documents.flatMap(({ blocks }) => blocks.filter(({ notRun }) => notRun === undefined).flatMap(toolsOf));
  if (tools.includes("crane")) await provideCrane();
  const daemons = tools.filter((tool) => tool === "docker" || tool === "ctr");
  const needsEngine = (await findMissingTools(daemons)).size > 0;
  await using engine = needsEngine && canStartDockerEngine() ? await startDockerEngine() : undefined;
  await using storage = await makeContainersStorage();
  const env = {
    ...storage.env,
    ...(engine && {
      DOCKER_HOST: engine.host,
      CONTAINERD_ADDRESS: engine.containerd,
      CONTAINERD_SNAPSHOTTER: "native",
    }),
  };
  const missing = await findMissingTools(tools, env);
  const results: BlockResult[] = [];
  for (const { blocks } of documents)
    results.push(
      ...(await runDocument(blocks, {
        root,
        env,
        startServer: () => startServer({ env: { BERTH_ADMIN_PASSWORD: undefined } }),
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

/** Relative to the root. Two patterns, for Bun finds nothing by one with both in braces. */
export async function findDocuments(root: string): Promise<readonly string[]> {
  const found = ["*.md", "docs/**/*.md"].map((pattern) => Array.fromAsync(new Bun.Glob(pattern).scan({ cwd: root })));
  return (await Promise.all(found)).flat().toSorted();
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
