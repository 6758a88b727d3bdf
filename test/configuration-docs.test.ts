import { expect, it } from "bun:test";
import { join, resolve } from "node:path";
import { z } from "zod";
import { loadConfig } from "../src/platform/config/load-config.ts";
import { configSchema } from "../src/platform/config/schema.ts";

const root = resolve(import.meta.dir, "..");
const page = await Bun.file(join(root, "docs/operators/configuration.md")).text();

/** A row of the page's table, or what it ought to be. */
interface Setting {
  readonly path: string;
  readonly variable: string;
  readonly preset: string;
  readonly limits: string;
}

const jsonSchema = z.object({ properties: z.record(z.string(), z.unknown()).optional() });
const jsonLeaf = z.object({
  default: z.union([z.string(), z.number(), z.boolean()]).optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
});

function settingsOf(schema: unknown, path = ""): readonly Setting[] {
  const { properties } = jsonSchema.parse(schema);
  if (properties !== undefined)
    return Object.entries(properties).flatMap(([key, child]) =>
      settingsOf(child, path === "" ? key : `${path}.${key}`),
    );
  const leaf = jsonLeaf.parse(schema);
  const choices = leaf.enum?.map((choice) => `\`${choice}\``).join(", ");
  const range = leaf.maximum === undefined ? "" : `${String(leaf.minimum)} to ${String(leaf.maximum)}`;
  return [
    {
      path,
      variable: `BERTH_${path.replaceAll(/[A-Z.]/g, (sign) => (sign === "." ? "_" : `_${sign}`)).toUpperCase()}`,
      preset: leaf.default === undefined ? "not set" : `\`${String(leaf.default)}\``,
      limits: choices ?? range,
    },
  ];
}

const plain = (cell: string): string => cell.replaceAll("`", "");

/** Settings and flags of the table. */
function readTable(markdown: string): { readonly settings: readonly Setting[]; readonly flags: readonly string[] } {
  const rows = markdown
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return {
    settings: rows.map(([, path = "", variable = "", , preset = "", limits = ""]) => ({
      path: plain(path),
      variable: plain(variable),
      preset,
      limits,
    })),
    flags: rows.map(([, , , flag = ""]) => plain(flag)).filter((flag) => flag !== ""),
  };
}

const byPath = (settings: readonly Setting[]): readonly Setting[] =>
  settings.toSorted((a, b) => (a.path < b.path ? -1 : 1));

it("tells every setting with its variable, default and limits, and no other", () => {
  const settings = settingsOf(z.toJSONSchema(configSchema, { io: "input" }));
  expect(settings.length).toBeGreaterThan(0);
  expect(byPath(readTable(page).settings)).toEqual(byPath(settings));
});

it("sees a row that is missing, and a default that differs", () => {
  const { settings } = readTable(page.replace(/^\| `secret`.*\n/m, "").replace("`86400`", "`86401`"));
  expect(settings).toHaveLength(readTable(page).settings.length - 1);
  expect(settings.map(({ preset }) => preset)).toContain("`86401`");
});

it("gives every setting a variable that the server knows", () => {
  for (const { variable } of readTable(page).settings) {
    // Whatever else is wrong with such a text, the variable is known.
    const problems = problemsOf({ [variable]: " " });
    expect(problems).not.toContain(`${variable}: there is no such setting`);
  }
  expect(problemsOf({ BERTH_HTTP_ADR: " " })).toEqual(["BERTH_HTTP_ADR: there is no such setting"]);
});

function problemsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    loadConfig({ file: undefined, environment, flags: {} });
    return [];
  } catch (error) {
    return error instanceof Error ? error.message.split("\n") : [];
  }
}

it("tells every flag of the server", async () => {
  const help = Bun.spawn([join(root, "bin/berth"), "serve", "--help"], { stdout: "pipe" });
  const flags = [...(await new Response(help.stdout).text()).matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)];
  expect(flags.map(([, flag]) => flag ?? "").toSorted()).toEqual(
    [...readTable(page).flags, "--config", "--help"].toSorted(),
  );
});
