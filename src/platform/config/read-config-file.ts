import { readFileSync } from "node:fs";
import { parse as parseYaml, YAMLParseError } from "yaml";
import { yamlOfDistribution } from "./distribution/variables.ts";
import { isTree, type Tree } from "./tree.ts";

export interface ConfigFile {
  /** Whose configuration it is, by what it holds. */
  readonly of: "berth" | "distribution";
  readonly tree: Tree;
  readonly problems: readonly string[];
}

/** @param isDistributions tells a file of distribution's from one of Berth's */
export function readConfigFile(file: string, isDistributions: (tree: Tree) => boolean): ConfigFile {
  try {
    const text = readFileSync(file, "utf8");
    const theirs = asDistributionReadsIt(text);
    if (isTree(theirs) && isDistributions(theirs)) return { of: "distribution", tree: theirs, problems: [] };
    const value: unknown = parseYaml(text, { maxAliasCount: 0 }) ?? {};
    if (isTree(value)) return { of: "berth", tree: value, problems: [] };
    return failed(`${file}: must be a mapping of settings`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // What stands below the first line is the text of the file, which may hold a secret.
    const [reason = ""] = error.message.split("\n", 1);
    const isSyntax = error instanceof YAMLParseError;
    return failed(isSyntax ? `${file}: ${reason.replace(/:$/, "")}` : `${file}: cannot be read: ${reason}`);
  }
}

const failed = (problem: string): ConfigFile => ({ of: "berth", tree: {}, problems: [problem] });

/** Only to see whose file it is: what is wrong with it is told by the reading that counts. */
function asDistributionReadsIt(text: string): unknown {
  try {
    const value: unknown = parseYaml(text, yamlOfDistribution);
    return value;
  } catch {
    return undefined;
  }
}
