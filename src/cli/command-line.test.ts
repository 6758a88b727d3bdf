import { expect, test } from "bun:test";
import { Command } from "commander";
import { commandLine } from "./command-line.ts";

/** Those that do something, by their full names. */
const doing = (
  command: Command,
  path: readonly string[] = [],
): readonly (readonly [name: string, command: Command])[] =>
  command.commands.length === 0
    ? [[path.join(" "), command]]
    : command.commands.flatMap((one) => doing(one, [...path, one.name()]));

const withoutJson = (program: Command): readonly string[] =>
  doing(program)
    .filter(([, { options }]) => !options.some(({ long }) => long === "--json"))
    .map(([name]) => name);

test("every command that ends prints JSON where it is asked to", async () => {
  const program = await commandLine(undefined);
  expect(doing(program).length).toBeGreaterThan(70);
  // Servers: what they print is their log, which is JSON.
  expect(withoutJson(program)).toEqual(["serve", "worker"]);
});

test("a command that does not is seen", () => {
  const program = new Command();
  const nested = program.command("one");
  nested.command("two").option("--json");
  nested.command("three");
  expect(withoutJson(program)).toEqual(["one three"]);
});
