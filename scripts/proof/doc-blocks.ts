/**
 * How a document marks its blocks. A fenced block of `sh`, `bash` or `console` is executed; the blocks of one document
 * run in their order in one shell, against a server of their own. A block that must not run says why behind the
 * language: ```` ```sh not-run: needs a domain of yours ````. Of a `console` block the lines behind `$ ` are run.
 * `localhost:5000` is that server, `data` in the folder of the start its data folder, with the password that its first
 * start made in `data/initial-admin-password`; `berth` is on the path, and the home folder is empty.
 */
export interface DocBlock {
  readonly file: string;
  /** Of the opening fence. */
  readonly line: number;
  readonly commands: string;
  readonly notRun: string | undefined;
}

export interface ParsedDocument {
  readonly blocks: readonly DocBlock[];
  readonly problems: readonly string[];
}

const languages = new Set(["sh", "bash", "shell", "console", "shell-session"]);
const prompts = new Set(["console", "shell-session"]);

/** Finds the shell blocks of a Markdown document. */
export function parseDocument(file: string, markdown: string): ParsedDocument {
  const blocks: DocBlock[] = [];
  const problems: string[] = [];
  let fence:
    | { readonly mark: string; readonly indent: number; readonly info: string; readonly line: number }
    | undefined;
  let body: string[] = [];
  for (const [index, text] of markdown.split("\n").entries()) {
    const [, indent = "", mark = "", info = ""] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(text) ?? [];
    if (fence === undefined) {
      if (mark === "") continue;
      fence = { mark, indent: indent.length, info: info.trim(), line: index + 1 };
      body = [];
      if (fence.info === "") problems.push(`${file}:${String(fence.line)}: the block does not name its language`);
    } else if (mark.startsWith(fence.mark) && info.trim() === "") {
      const { block, problem } = readBlock({ file, ...fence }, body);
      if (problem !== undefined) problems.push(problem);
      if (block !== undefined) blocks.push(block);
      fence = undefined;
    } else body.push(text.slice(Math.min(fence.indent, text.length - text.trimStart().length)));
  }
  if (fence !== undefined) problems.push(`${file}:${String(fence.line)}: the block does not end`);
  return { blocks, problems };
}

function readBlock(
  { file, info, line }: { readonly file: string; readonly info: string; readonly line: number },
  body: readonly string[],
): { readonly block?: DocBlock; readonly problem?: string } {
  const [language = "", ...rest] = info.split(/\s+/);
  if (!languages.has(language)) return {};
  const [, reason] = /^not-run:\s*(.*)$/.exec(rest.join(" ")) ?? [];
  if (rest.length > 0 && reason === undefined)
    return { problem: `${file}:${String(line)}: only "not-run: reason" may stand behind the language, not "${info}"` };
  if (reason === "") return { problem: `${file}:${String(line)}: not-run without a reason` };
  const commands = prompts.has(language) ? promptedLines(body) : body;
  if (commands.length === 0) return { problem: `${file}:${String(line)}: the block holds no command` };
  return { block: { file, line, commands: commands.join("\n"), notRun: reason } };
}

function promptedLines(body: readonly string[]): readonly string[] {
  const commands: string[] = [];
  let continued = false;
  for (const line of body) {
    if (!continued && !line.startsWith("$ ")) continue;
    commands.push(continued ? line : line.slice(2));
    continued = line.endsWith("\\");
  }
  return commands;
}

const tools =
  /(?:^|[|;&(]|\$\()\s*(?:sudo\s+|[A-Z_]+=\S*\s+)*(?:\/usr\/sbin\/)?(docker|podman|skopeo|buildah|ctr|nerdctl|crane|oras|helm|regctl|cosign|kubectl|curl|jq|openssl|htpasswd|psql|go|git|slapd|slapadd)\s/gm;

/** The programs from elsewhere that a block calls. */
export function toolsOf({ commands }: DocBlock): readonly string[] {
  return [...new Set([...`${commands}\n`.matchAll(tools)].map(([, tool = ""]) => tool))];
}
