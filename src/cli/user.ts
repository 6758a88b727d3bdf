import type { Command } from "commander";
import * as accounts from "../access/accounts/contract.ts";
import { resetSecondFactor } from "../access/second-factor/contract.ts";
import { allPages } from "./all-pages.ts";
import { addImportHtpasswd } from "./import-htpasswd.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { readPassword } from "./read-password.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface ListOptions extends ApiOptions {
  readonly prefix?: string;
  readonly disabled?: true;
}

interface ProfileOptions extends ApiOptions {
  readonly displayName?: string;
  readonly email?: string;
}

/** `berth user ...`: accounts, of a running server or in the data folder. */
export function addUser(program: Command): void {
  const user = program.command("user").description("accounts");
  addImportHtpasswd(user);
  addReading(user);
  addWriting(user);
}

function addReading(user: Command): void {
  withApiOptions(user.command("list"))
    .description("list accounts")
    .option("--prefix <text>", "those whose names begin so")
    .option("--disabled", "those that are disabled")
    .action((options: ListOptions) =>
      withApi(options, async (call) => {
        const { prefix, disabled } = options;
        const query = { prefix, ...(disabled && { disabled: "true" }), limit: "1000" };
        const all = allPages((after) => call(accounts.listAccounts, { query: { ...query, after } }));
        for await (const one of all) {
          const row = { ...one, state: one.disabled ? "disabled" : one.suspended ? "suspended" : "" };
          if (options.json) printOne(one, true);
          else printRow(row, ["name", "displayName", "email", "state"], false);
        }
      }),
    );
  withApiOptions(user.command("show <name>"))
    .description("show an account")
    .action((name: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printOne(await call(accounts.showAccount, { params: { account: name } }), options.json === true);
      }),
    );
}

const profileOptions = (command: Command): Command =>
  withApiOptions(command)
    .option("--display-name <text>", "as people read it")
    .option("--email <address>", "where its owner is written to");

function addWriting(user: Command): void {
  profileOptions(user.command("create <name>"))
    .description("make an account with the password that stands on the first line of standard input")
    .action((name: string, { displayName, email, ...options }: ProfileOptions) =>
      withApi(options, async (call) => {
        const password = await readPassword(`Password of ${name}: `);
        const body = { name, password, displayName, email };
        printOne(await call(accounts.createAccount, { body }), options.json === true);
      }),
    );
  profileOptions(user.command("update <name>"))
    .description("change what people see of an account; an empty e-mail address takes it away")
    .action((name: string, { displayName, email, ...options }: ProfileOptions) =>
      change(name, { displayName, ...(email !== undefined && { email: email === "" ? null : email }) }, options),
    );
  withApiOptions(user.command("disable <name>"))
    .description("let nobody sign in with an account, and end its tokens and sessions")
    .action((name: string, options: ApiOptions) => change(name, { disabled: true }, options));
  withApiOptions(user.command("enable <name>"))
    .description("let a disabled account sign in again")
    .action((name: string, options: ApiOptions) => change(name, { disabled: false }, options));
  withApiOptions(user.command("password <name>"))
    .description("give an account the password that stands on the first line of standard input")
    .option("--local", "also an account whose password a source of identity knows, in place of that")
    .action((name: string, { local, ...options }: ApiOptions & { readonly local?: true }) =>
      withApi(options, async (call) => {
        const password = await readPassword(`New password of ${name}: `);
        await call(accounts.setPassword, { params: { account: name }, body: { password, takeOver: local === true } });
        if (options.json) printOne({ name }, true);
        else process.stdout.write(`the password of ${name} is changed\n`);
      }),
    );
  withApiOptions(user.command("reset-second-factor <name>"))
    .description("take the second factor from an account whose owner has lost it")
    .option("--dry-run", "only tell what would be removed")
    .action((name: string, { dryRun, ...options }: ApiOptions & { readonly dryRun?: true }) =>
      withApi(options, async (call) => {
        const asked = { params: { account: name }, dryRun: dryRun === true };
        printRemoval(await call(resetSecondFactor, asked), options.json === true);
      }),
    );
  withApiOptions(user.command("delete <name>"))
    .description("delete an account with its tokens and sessions")
    .option("--dry-run", "only tell what would be removed")
    .action((name: string, { dryRun, ...options }: ApiOptions & { readonly dryRun?: true }) =>
      withApi(options, async (call) => {
        const asked = { params: { account: name }, dryRun: dryRun === true };
        printRemoval(await call(accounts.deleteAccount, asked), options.json === true);
      }),
    );
}

type Change = { readonly [K in "displayName" | "email" | "disabled"]?: unknown };

const change = (name: string, body: Change, options: ApiOptions): Promise<void> =>
  withApi(options, async (call) => {
    // Whichever revision: what is said here is all that the operator means.
    const asked = { params: { account: name }, body: body as object, ifMatch: "*" };
    printOne(await call(accounts.changeAccount, asked), options.json === true);
  });
