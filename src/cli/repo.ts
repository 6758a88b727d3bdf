import { type Command, Option } from "commander";
import * as contracts from "../access/organizations/contract.ts";
import { parseVisibility, visibilities, type Visibility } from "../oci/visibility.ts";
import { printOne } from "./print.ts";
import { StartError } from "./start-error.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface CreateOptions extends ApiOptions {
  readonly visibility?: Visibility;
}

/** `berth repo create|visibility`. */
export function addRepo(program: Command): void {
  const repo = program.command("repo").description("repositories");
  withApiOptions(repo.command("create <name>"))
    .description("make an empty repository, as visible as its namespace says unless another visibility is given")
    .addOption(new Option("--visibility <who>", "who may pull without a grant").choices(visibilities))
    .action((name: string, { visibility, ...options }: CreateOptions) =>
      withApi(options, async (call) => {
        printOne(await call(contracts.createRepository, { body: { name, visibility } }), options.json === true);
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
