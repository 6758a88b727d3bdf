import { readFileSync } from "node:fs";
import { yamlOfDistribution } from "./distribution/variables.ts";
import { loadYaml } from "./load-yaml.ts";
import { isTree, type Tree } from "./tree.ts";
import { yamlMistake } from "./yaml-mistake.ts";

export interface ConfigFile {
  /** Whose configuration it is, by what it holds. */
  readonly of: "berth" | "distribution";
  readonly tree: Tree;
  readonly problems: readonly string[];
}

/** @param isDistributions tells a file of distribution's from one of Berth's */
export function readConfigFile(file: string, isDistributions: (tree: Tree) => boolean): ConfigFile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return failed([`${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const theirs = asDistributionReadsIt(text);
  return isTree(theirs) && isDistributions(theirs)
    ? { of: "distribution", tree: theirs, problems: [] }
    : readOwn(file, text);
}

const failed = (problems: readonly string[]): ConfigFile => ({ of: "berth", tree: {}, problems });

function readOwn(file: string, text: string): ConfigFile {
  const { LineCounter, parseDocument, visit } = loadYaml();
  const lines = new LineCounter();
  // Pretty errors quote the lines around them, and a line may hold a secret.
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  const mistakes = [...document.errors, ...document.warnings].map((mistake) => {
    const { line, col } = lines.linePos(mistake.pos[0]);
    return `${file}:${line}:${col}: ${yamlMistake(mistake)}`;
  });
  visit(document, {
    Alias: () => {
      mistakes.push(`${file}: aliases are not understood`);
    },
  });
  if (mistakes.length > 0) return failed(mistakes);
  const value: unknown = document.toJS() ?? {};
  return isTree(value)
    ? { of: "berth", tree: value, problems: [] }
    : failed([`${file}: must be a mapping of settings`]);
}

/** Only to see whose file it is: what is wrong with it is told by the reading that counts. */
function asDistributionReadsIt(text: string): unknown {
  try {
    const value: unknown = loadYaml().parse(text, yamlOfDistribution);
    return value;
  } catch {
    return undefined;
  }
}
