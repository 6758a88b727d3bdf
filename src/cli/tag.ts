import type { Command } from "commander";
import * as repositories from "../http/api/repositories/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface SetOptions extends ApiOptions {
  readonly from?: string;
  readonly dryRun?: true;
}

interface DeleteOptions extends ApiOptions {
  readonly dryRun?: true;
}

/** `berth tag ...`: of a running server or in the data folder. */
export function addTag(program: Command): void {
  const tag = program.command("tag").description("tags of a repository");
  withApiOptions(tag.command("list <repository>"))
    .description("list tags")
    .action((repository: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { repository } };
        const all = allPages((after) => call(repositories.listTags, { ...asked, query: { limit: "1000", after } }));
        for await (const one of all) printRow(one, ["name", "digest", "updatedAt"], options.json === true);
      }),
    );
  withApiOptions(tag.command("show <repository> <tag>"))
    .description("show what a tag names, with what is inside it")
    .action((repository: string, reference: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { repository, reference } };
        printOne(await call(repositories.showManifest, asked), options.json === true);
      }),
    );
  withApiOptions(tag.command("set <repository> <tag> <reference>"))
    .description(
      "have a tag name a manifest; of another repository it is copied with all that it names, and no byte is",
    )
    .option("--from <repository>", "the repository that has it")
    .option("--dry-run", "only tell what would be copied, and what stands against it")
    .action((...[repository, name, reference, { from, dryRun, ...options }]: [string, string, string, SetOptions]) =>
      withApi(options, async (call) => {
        const asked = { params: { repository, tag: name }, body: { from, reference }, dryRun: dryRun === true };
        printOne(await call(repositories.setTag, asked), options.json === true);
      }),
    );
  withApiOptions(tag.command("delete <repository> <tags...>"))
    .description("delete tags, all of them or none; manifests stay")
    .option("--dry-run", "only tell what would be removed")
    .action((repository: string, tags: string[], { dryRun, ...options }: DeleteOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { repository }, body: { tags }, dryRun: dryRun === true };
        printRemoval(await call(repositories.deleteMany, asked), options.json === true);
      }),
    );
}
