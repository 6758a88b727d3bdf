import { type Command, Option } from "commander";
import { changeVisibility, createEmptyRepository } from "../access/organizations/namespaces.ts";
import { refuse } from "../access/refusal.ts";
import { parseRepositoryName } from "../oci/names.ts";
import { parseVisibility, visibilities, type Visibility } from "../oci/visibility.ts";
import { printRow } from "./print-rows.ts";
import { type AccessOptions, withAccess, withAccessOptions } from "./with-access.ts";

interface CreateOptions extends AccessOptions {
  readonly visibility?: Visibility;
}

/** `berth repo create|visibility`. */
export function addRepo(program: Command): void {
  const repo = program.command("repo").description("repositories");
  withAccessOptions(repo.command("create <name>"))
    .description("make an empty repository, as visible as its namespace says unless another visibility is given")
    .addOption(new Option("--visibility <who>", "who may pull without a grant").choices(visibilities))
    .action((text: string, { visibility, ...options }: CreateOptions) =>
      withAccess(options, async ({ change }) => {
        const name = requireName(text);
        await change((tx) => createEmptyRepository(tx, { name, ...(visibility && { visibility }) }));
        printRow({ name, ...(visibility && { visibility }) }, options.json);
      }),
    );
  withAccessOptions(repo.command("visibility <name> <visibility>"))
    .description("say who may pull without a grant: public (everyone), internal (every account) or private (nobody)")
    .action((text: string, word: string, options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        const name = requireName(text);
        const visibility = parseVisibility(word) ?? refuse("invalid", `a visibility is ${visibilities.join(", ")}`);
        await change((tx) => changeVisibility(tx, { name, visibility }));
        printRow({ name, visibility }, options.json);
      }),
    );
}

const requireName = (text: string) =>
  parseRepositoryName(text) ?? refuse("invalid", `${text} is no name of a repository`);
