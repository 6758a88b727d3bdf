/** One test as a JUnit file tells it. */
export interface TestCase {
  readonly file: string;
  readonly line: number;
  /** With the names of the groups around it. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

const token = /<!\[CDATA\[[\s\S]*?\]\]>|<!--[\s\S]*?-->|<(\/?)([\w:-]+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>/g;
const attribute = /([\w:-]+)="([^"]*)"/g;
const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Reads what Bun, Ginkgo and the suite of the distribution specification write. */
export function parseJunit(xml: string): readonly TestCase[] {
  const cases: TestCase[] = [];
  let open: TestCase | undefined;
  const groups: (string | undefined)[] = [];
  for (const [, closing, element, attributes = "", empty] of xml.matchAll(token)) {
    if (element === "testsuite") {
      const { name, line } = readAttributes(attributes);
      // Only a group inside a file has a line; the outer elements name the file or the run.
      if (closing === "/") groups.pop();
      else if (empty !== "/") groups.push(line === undefined ? undefined : name);
    } else if (element === "testcase" && closing !== "/") {
      open = readCase(readAttributes(attributes), groups);
      if (empty === "/") cases.push(open);
    } else if (element === "testcase" && open !== undefined) {
      cases.push(open);
      open = undefined;
    } else if (open !== undefined && (element === "failure" || element === "error")) {
      open = { ...open, outcome: "failed" };
    } else if (open !== undefined && element === "skipped") {
      open = { ...open, outcome: "skipped" };
    }
  }
  return cases;
}

function readCase(about: Readonly<Record<string, string>>, groups: readonly (string | undefined)[]): TestCase {
  const path = [...groups.filter((group) => group !== undefined), about["name"] ?? ""];
  const status = about["status"] ?? "passed";
  return {
    file: about["file"] ?? "",
    line: Number(about["line"] ?? 0),
    name: path.join(" > "),
    outcome: status === "passed" ? "passed" : status === "skipped" ? "skipped" : "failed",
  };
}

function readAttributes(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...text.matchAll(attribute)].map(([, name = "", value = ""]) => [name, unescape(value)]));
}

const unescape = (text: string): string =>
  text.replace(/&(#?\w+);/g, (whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return entities[name] ?? whole;
  });
