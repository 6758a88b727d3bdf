import { text as readAll } from "node:stream/consumers";
import { type Command, Option } from "commander";
import * as contracts from "../access/organizations/contract.ts";
import { setDescription, showDescription } from "../features/descriptions/contract.ts";
import * as repositories from "../http/api/repositories/contract.ts";
import { parseVisibility, visibilities, type Visibility } from "../oci/visibility.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { eachOne, labelChanges, labelsIn, withChanges } from "./label-changes.ts";
import { StartError } from "./start-error.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface CreateOptions extends ApiOptions {
  readonly visibility?: Visibility;
  readonly description?: string;
  readonly label?: readonly string[];
}

interface DeleteOptions extends ApiOptions {
  readonly dryRun?: true;
}

interface ListOptions extends ApiOptions {
  readonly prefix?: string;
  readonly label?: string;
}

/** `berth repo ...`: repositories. */
export function addRepo(program: Command): void {
  const repo = program.command("repo").description("repositories");
  addReading(repo);
  addDescribing(repo);
  addLabelling(repo);
  addDeleting(repo);
  withApiOptions(repo.command("create <name>"))
    .description("make an empty repository, as its namespace says where nothing else is given")
    .addOption(new Option("--visibility <who>", "who may pull without a grant").choices(visibilities))
    .option("--description <markdown>", "what people read of it")
    .option("--label <key=value>", "once for each label", eachOne)
    .action((name: string, { visibility, description, label, ...options }: CreateOptions) =>
      withApi(options, async (call) => {
        const body = { name, visibility, description, labels: label && labelsIn(label) };
        printOne(await call(contracts.createRepository, { body }), options.json === true);
      }),
    );
  withApiOptions(repo.command("visibility <name> <visibility>"))
    .description("say who may pull without a grant: public (everyone), internal (every account) or private (nobody)")
    .action((repository: string, word: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const visibility = parseVisibility(word);
        if (visibility === undefined) throw new StartError(`a visibility is ${visibilities.join(", ")}`);
        await call(contracts.setVisibility, { params: { repository }, body: { visibility } });
        printOne({ name: repository, visibility }, options.json === true);
      }),
    );
}

function addReading(repo: Command): void {
  withApiOptions(repo.command("list"))
    .description("list repositories")
    .option("--prefix <text>", "those whose names begin so")
    .option("--label <key[=value]>", "those with this label")
    .action(({ prefix, label, ...options }: ListOptions) =>
      withApi(options, async (call) => {
        const query = { prefix, label, limit: "1000" };
        const all = allPages((after) => call(repositories.listRepositories, { query: { ...query, after } }));
        for await (const one of all) printRow(one, ["name", "visibility"], options.json === true);
      }),
    );
  withApiOptions(repo.command("show <name>"))
    .description("show a repository")
    .action((repository: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printOne(await call(repositories.showRepository, { params: { repository } }), options.json === true);
      }),
    );
}

function addDescribing(repo: Command): void {
  withApiOptions(repo.command("describe <name>"))
    .description("have people read of a repository what stands on standard input, in Markdown")
    .action((repository: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const body = { text: await readAll(process.stdin) };
        const written = await call(setDescription, { params: { repository }, body, ifMatch: "*" });
        if (options.json) printOne(written, true);
        else process.stdout.write(`${repository} is described\n`);
      }),
    );
}

function addLabelling(repo: Command): void {
  withApiOptions(repo.command("label <name> [labels...]"))
    .description("give a repository labels (key=value), or take them from it (key-); show those that it has")
    .action((repository: string, given: string[], options: ApiOptions) =>
      withApi(options, async (call) => {
        const changes = labelChanges(given);
        const params = { repository };
        const { labels: before, revision } = await call(showDescription, { params });
        const labels = withChanges(before, changes);
        // Of what somebody else has changed meanwhile nothing is overwritten: it is refused.
        const ifMatch = `"${String(revision)}"`;
        if (changes.size > 0) await call(setDescription, { params, body: { labels }, ifMatch });
        printOne({ name: repository, labels }, options.json === true);
      }),
    );
}

function addDeleting(repo: Command): void {
  withApiOptions(repo.command("delete <name>"))
    .description("delete a repository with all that is in it and what was granted on it")
    .option("--dry-run", "only tell what would be removed")
    .action((repository: string, { dryRun, ...options }: DeleteOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { repository }, dryRun: dryRun === true };
        printRemoval(await call(repositories.deleteRepository, asked), options.json);
      }),
    );
}
