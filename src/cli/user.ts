import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { setPassword } from "../access/set-password.ts";
import { createPasswords } from "../platform/passwords/passwords.ts";
import { addImportHtpasswd } from "./import-htpasswd.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { withRegistry } from "./with-registry.ts";

interface PasswordOptions extends CommonOptions {
  readonly local?: true;
}

const oneAtATime = { concurrent: 1, waiting: 0 };

/** `berth user password`: on the data folder, so that an operator who is locked out gets in again. */
export function addUser(program: Command): void {
  const user = program.command("user").description("accounts");
  addImportHtpasswd(user);
  withCommonOptions(user.command("password <name>"))
    .description("give an account the password that stands on the first line of standard input")
    .option("--local", "also an account whose password a source of identity knows, in place of that")
    .action((name: string, options: PasswordOptions) =>
      withRegistry(options, async ({ database }, { data }) => {
        const [password = ""] = (await text(process.stdin)).split(/\r?\n/, 1);
        const deps = {
          database,
          passwords: createPasswords(oneAtATime),
          dataFolder: data,
          now: Date.now,
          takesOver: options.local === true,
        };
        const refusal = await setPassword(deps, name, password);
        if (refusal !== undefined) throw new StartError(refusal);
        process.stdout.write(`the password of ${name} is changed\n`);
      }),
    );
}
